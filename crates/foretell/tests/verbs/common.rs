//! The program and how it is called; a small data set and a small run; folders before and after.

use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// No command of these tests takes so long, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(120);

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// `None`: by a signal.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// The JSON objects of standard output, which holds nothing else.
    pub(crate) fn lines(&self) -> Vec<Map<String, Value>> {
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        self.stdout.lines().map(parse).collect()
    }

    /// The last of them: the summary.
    pub(crate) fn summary(&self) -> Map<String, Value> {
        self.lines().pop().unwrap_or_else(|| panic!("nothing was printed: {self:?}"))
    }
}

/// The program, with nothing on its standard input.
pub(crate) fn foretell<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_foretell"));
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Runs a command to its end, which must come.
pub(crate) fn end(command: &mut Command) -> Ended {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait(child, &format!("{command:?}"))
}

/// Waits for the end of a child.
pub(crate) fn wait(child: Child, what: &str) -> Ended {
    let id = child.id();
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || send.send(child.wait_with_output()));
    let output = match receive.recv_timeout(PATIENCE) {
        Ok(output) => output.unwrap(),
        Err(_) => {
            signal(id, "KILL");
            panic!("{what} did not end");
        }
    };
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// Sends a signal to a process; one that has ended is fine.
pub(crate) fn signal(id: u32, name: &str) {
    let line = format!("kill -{name} {id}");
    Command::new("sh").args(["-c", &line]).stderr(Stdio::null()).status().unwrap();
}

/// Runs the program, which succeeds.
pub(crate) fn ok<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Ended {
    let mut command = foretell(arguments);
    let ended = end(&mut command);
    assert_eq!(ended.code, Some(0), "{command:?}: {ended:?}");
    ended
}

/// Splits a command line at spaces and puts paths into it: `{name}` stands for one of `places`.
pub(crate) fn words(line: &str, places: &[(&str, &Path)]) -> Vec<String> {
    let put = |word: &str| {
        places.iter().fold(word.to_string(), |word, (name, path)| {
            word.replace(&format!("{{{name}}}"), &path.display().to_string())
        })
    };
    line.split(' ').map(put).collect()
}

/// What is wrong with an error. It must have exit code 1 or 2 and one line that begins with `error:`, and
/// that or a following line must name `thing`; a panic is no error.
fn complaint(ended: &Ended, thing: &str) -> Option<String> {
    let Ended { code, stderr, .. } = ended;
    let errors = stderr.lines().filter(|line| line.starts_with("error:")).count();
    let fine =
        matches!(code, Some(1 | 2)) && errors == 1 && stderr.contains(thing) && !stderr.contains("panicked");
    (!fine).then(|| format!("exit code {code:?}, {errors} errors; {thing:?} should be named: {stderr}"))
}

/// A command failed as it must.
pub(crate) fn check_error(ended: &Ended, thing: &str, what: &str) {
    if let Some(complaint) = complaint(ended, thing) {
        panic!("{what}: {complaint}");
    }
}

/// A table of command lines that must be refused, each with what the error names; nothing in `folder`
/// may change. All failures are told together.
pub(crate) fn refused(folder: &Path, places: &[(&str, &Path)], table: &[(&str, &str)]) {
    let before = contents(folder);
    let mut failures = String::new();
    for (line, thing) in table {
        let ended = end(&mut foretell(words(line, places)));
        if let Some(complaint) = complaint(&ended, thing) {
            let _ = writeln!(failures, "- {line}: {complaint}");
        }
        let after = contents(folder);
        if let Some(first) = changed(&before, &after).first() {
            let _ = writeln!(failures, "- {line}: it left {first:?} changed");
            // So that the lines that follow are judged by themselves.
            for path in after.keys().filter(|path| !before.contains_key(*path)) {
                let _ = fs::remove_dir_all(path);
            }
        }
    }
    assert!(failures.is_empty(), "\n{failures}");
}

/// All files below a folder with their contents, and all folders with none; locks apart.
pub(crate) fn contents(folder: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path.clone());
                found.insert(path, None);
            } else if path.file_name() != Some(OsStr::new("lock")) {
                let bytes = fs::read(&path).unwrap();
                found.insert(path, Some(bytes));
            }
        }
    }
    found
}

type Contents = BTreeMap<PathBuf, Option<Vec<u8>>>;

fn changed<'a>(before: &'a Contents, after: &'a Contents) -> Vec<&'a PathBuf> {
    let differs = |path: &&PathBuf| before.get(*path) != after.get(*path);
    before.keys().chain(after.keys()).filter(differs).collect()
}

/// Command lines that are bad usage: exit code 2, and the error names the thing.
pub(crate) fn bad_usage(places: &[(&str, &Path)], table: &[(&str, &str)]) {
    for (line, thing) in table {
        let ended = end(&mut foretell(words(line, places)));
        check_error(&ended, thing, line);
        assert_eq!(ended.code, Some(2), "{line}: {ended:?}");
    }
}

/// Copies a folder with what is in it.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy(&path, &target),
            false => {
                fs::copy(&path, &target).unwrap();
            }
        }
    }
}

/// A small random number generator (Marsaglia's xorshift64*), so that every run of a test is the same.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) % bound
    }
}

const WORDS: [&str; 24] = [
    "river", "stone", "the", "a", "of", "walks", "sings", "grey", "small", "house", "bird", "under", "over",
    "and", "waits", "for", "rain", "Mara", "Oskar", "old", "boat", "sleeps", "two", "three",
];

/// Documents of sentences, as JSONL.
pub(crate) fn documents(seed: u64, number: usize) -> String {
    let mut random = Random(seed);
    let mut text = String::new();
    for _ in 0..number {
        let mut document = String::new();
        for _ in 0..8 + random.below(10) {
            let words: Vec<&str> =
                (0..5 + random.below(6)).map(|_| WORDS[random.below(24) as usize]).collect();
            let _ = write!(document, "{}. ", words.join(" "));
        }
        let _ = writeln!(text, "{}", serde_json::json!({"text": document.trim_end()}));
    }
    text
}

/// What most tests read and none changes.
pub(crate) struct World {
    /// `data build` of [`World::text`], with a tokenizer of 300.
    pub(crate) data: PathBuf,
    /// A run of 150 steps that came to its end, with checkpoints of steps 100 and 150.
    pub(crate) run: PathBuf,
    /// The file of text.
    pub(crate) text: PathBuf,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("verbs");
    // Of the tests before.
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let [text, data, toml, run] = ["text.jsonl", "data", "run.toml", "run"].map(|name| folder.join(name));
    fs::write(&text, documents(1, 250)).unwrap();
    let places: [(&str, &Path); 4] = [("text", &text), ("data", &data), ("toml", &toml), ("run", &run)];
    ok(words("data build {text} --out {data} --vocab 300 --holdout 0.05", &places));
    // Long enough that it has something to say.
    let text_of = config(&data, 150).replace("every = 4", "every = 50").replace("every = 3", "every = 50");
    fs::write(&toml, text_of).unwrap();
    ok(words("train --config {toml} --out {run} --threads 2 --quiet", &places));
    World { data, run, text }
});

/// The world, made by whoever asks first.
pub(crate) fn world() -> &'static World {
    &WORLD
}

/// A whole `run.toml` of a tiny model: four micro-batches a step.
pub(crate) fn config(data: &Path, steps: u64) -> String {
    let dataset = ::data::Dataset::open(data).unwrap();
    let manifest = dataset.manifest();
    let (hash, eval_hash, vocab) =
        (manifest.data_hash(), manifest.eval_hash(), dataset.tokenizer().vocab_size());
    let path = data.display();
    format!(
        r#"
seed = 7
steps = {steps}
rows = 8
micro_rows = 2

[schedule]
kind = "cosine"
peak = 0.02
warmup_steps = 2

[evaluation]
tokens = 1000
every = 4

[checkpoints]
every = 3
keep = 2

[samples]
prompts = ["The "]
tokens = 5

[data]
path = "{path}"
hash = "{hash}"
eval_hash = "{eval_hash}"

[model]
architectures = ["Qwen3ForCausalLM"]
model_type = "qwen3"
vocab_size = {vocab}
hidden_size = 32
intermediate_size = 64
num_hidden_layers = 2
num_attention_heads = 4
num_key_value_heads = 2
head_dim = 8
hidden_act = "silu"
rms_norm_eps = 1e-6
rope_theta = 10000.0
max_position_embeddings = 48
tie_word_embeddings = true
"#
    )
}

/// Writes [`config`] with some lines replaced, and returns where.
pub(crate) fn write_config(folder: &Path, steps: u64, changes: &[(&str, &str)]) -> PathBuf {
    let path = folder.join("given.toml");
    let mut text = config(&world().data, steps);
    for (from, to) in changes {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    fs::write(&path, text).unwrap();
    path
}

/// The checkpoints of a run by name.
pub(crate) fn checkpoints(run: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        fs::read_dir(run.join("checkpoints")).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

/// How many lines a run has recorded.
pub(crate) fn lines(run: &Path) -> usize {
    fs::read_to_string(run.join("metrics.jsonl")).map_or(0, |text| text.lines().count())
}

/// Waits until a run has recorded more than so many lines.
pub(crate) fn wait_for_lines(run: &Path, more_than: usize) {
    let begin = Instant::now();
    while lines(run) <= more_than {
        assert!(begin.elapsed() < PATIENCE, "no step was made");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Everything of a run that is a function of its configuration: checkpoints without the seconds in their
/// state, lines without times.
pub(crate) fn outcome(run: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for checkpoint in checkpoints(run) {
        let name = checkpoint.file_name().unwrap().to_str().unwrap().to_string();
        for file in ["model.safetensors", "optimizer.safetensors"] {
            found.insert(format!("{name}/{file}"), fs::read(checkpoint.join(file)).unwrap());
        }
        let mut state: Map<String, Value> =
            serde_json::from_slice(&fs::read(checkpoint.join("state.json")).unwrap()).unwrap();
        assert!(state.remove("seconds").is_some());
        found.insert(format!("{name}/state.json"), serde_json::to_vec(&state).unwrap());
    }
    for file in ["metrics.jsonl", "samples.jsonl"] {
        let mut lines = String::new();
        for line in fs::read_to_string(run.join(file)).unwrap().lines() {
            let mut line: Map<String, Value> = serde_json::from_str(line).unwrap();
            line.retain(|name, _| !name.starts_with("time/"));
            let _ = writeln!(lines, "{}", Value::from(line));
        }
        found.insert(file.into(), lines.into_bytes());
    }
    found
}

/// Says which parts of two outcomes differ.
pub(crate) fn assert_same(a: &BTreeMap<String, Vec<u8>>, b: &BTreeMap<String, Vec<u8>>, what: &str) {
    let names: Vec<_> = a.keys().chain(b.keys()).filter(|name| a.get(*name) != b.get(*name)).collect();
    assert!(names.is_empty(), "{what}: {names:?} differ");
}
