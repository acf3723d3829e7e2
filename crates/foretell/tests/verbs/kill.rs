//! Runs that are killed, and disks that are full: what goes on comes to the same end.

use crate::common::{
    Random, assert_same, contents, end, foretell, lines, ok, outcome, signal, wait, wait_for_lines, words,
    write_config,
};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Samples, evaluations and checkpoints between few steps, so that kills fall into all of them.
fn prepare(folder: &Path, steps: u64) -> std::path::PathBuf {
    let busy = [("every = 4", "every = 3"), ("every = 3\nkeep", "every = 2\nkeep")];
    write_config(folder, steps, &busy)
}

#[test]
fn a_run_killed_at_random_moments_ends_like_one_that_never_was() {
    let long = std::env::var_os("FORETELL_LONG_TESTS").is_some();
    let (kills, steps) = if long { (20, 600) } else { (3, 120) };
    let folder = tempfile::tempdir().unwrap();
    let toml = prepare(folder.path(), steps);
    let [whole, run] = ["whole", "run"].map(|name| folder.path().join(name));
    let places = [("toml", toml.as_path()), ("run", &run), ("whole", &whole)];
    ok(words("train --config {toml} --out {whole} --threads 1 -q", &places));

    let mut random = Random(0x5eed);
    for kill in 0..kills {
        // Killed before it had a run.toml, it is begun again.
        let line = match run.join("run.toml").is_file() {
            true => "resume {run} --threads 1 -q",
            false => "train --config {toml} --out {run} --threads 1 -q",
        };
        let mut command = foretell(words(line, &places));
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let id = child.id();
        // Now and then in the first moments; else so many steps later, and somewhere within a step, an
        // evaluation or a checkpoint. Together they go through half of the run.
        if kill % 4 != 1 {
            wait_for_lines(&run, lines(&run) + random.below(steps / kills) as usize);
        }
        std::thread::sleep(Duration::from_micros(random.below(15_000)));
        signal(id, "KILL");
        let ended = wait(child, line);
        assert_eq!(ended.code, None, "kill {kill}: {ended:?}");
    }
    ok(words("resume {run} --threads 2 -q", &places));
    assert_same(&outcome(&whole), &outcome(&run), "killed and resumed");
    let parts: Vec<_> =
        contents(&run).into_keys().filter(|path| path.extension().is_some_and(|e| e == "part")).collect();
    assert!(parts.is_empty(), "{parts:?}");
}

/// The program under a limit of so many kilobytes a file, which is how a full disk looks to it, but for
/// the words of the system.
fn limited(kilobytes: u64, arguments: &[String]) -> Command {
    let mut command = Command::new("bash");
    let script = format!("trap '' XFSZ; ulimit -f {kilobytes}; exec \"$@\"");
    command.args(["-c", &script, "bash", env!("CARGO_BIN_EXE_foretell")]).args(arguments);
    command
}

#[test]
fn a_full_disk_leaves_nothing_half_written() {
    let world = crate::common::world();
    let folder = tempfile::tempdir().unwrap();
    let [out, input] = ["out", "in"].map(|name| folder.path().join(name));
    fs::create_dir(&input).unwrap();
    let toml = prepare(&input, 6);
    let places = [("out", out.as_path()), ("toml", &toml), ("run", &world.run), ("text", &world.text)];
    let before = contents(folder.path());
    for (kilobytes, line) in [
        (0, "train --config {toml} --out {out}"),
        (10, "export {run} --to gguf --out {out}"),
        (10, "export {run} --to safetensors --out {out}"),
        (10, "data build {text} --out {out} --tokenizer bytes"),
        (0, "data build {text} --out {out} --vocab 300"),
        (10, "data generate --bytes 100000 --out {out}"),
    ] {
        let ended = end(&mut limited(kilobytes, &words(line, &places)));
        crate::common::check_error(&ended, "out", line);
        assert!(contents(folder.path()) == before, "{line}: {:?}", contents(folder.path()).keys());
    }

    // A run on a disk that fills up keeps what it has, and goes on to the same end when there is room.
    let ended = end(&mut limited(20, &words("train --config {toml} --out {out}", &places)));
    crate::common::check_error(&ended, "out", "train");
    assert!(contents(&out).keys().all(|path| path.extension().is_none_or(|e| e != "part")));
    ok(words("resume {out} -q", &places));
    let whole = folder.path().join("whole");
    ok(words("train --config {toml} --out {whole} -q", &[("toml", &toml), ("whole", &whole)]));
    assert_same(&outcome(&whole), &outcome(&out), "after a full disk");
}
