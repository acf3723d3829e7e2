//! Memory that this process may still take: what the machine has free, within the limits of its control groups.

use crate::Failure;
use std::fs;
use std::path::{Path, PathBuf};

/// Where a version of control groups keeps what.
struct Version {
    root: &'static str,
    limit: &'static str,
    usage: &'static str,
    /// Line of `memory.stat` with the bytes of files that can be dropped at once, which `usage` counts.
    cache: &'static str,
}

const SECOND: Version =
    Version { root: "/sys/fs/cgroup", limit: "memory.max", usage: "memory.current", cache: "inactive_file" };

const FIRST: Version = Version {
    root: "/sys/fs/cgroup/memory",
    limit: "memory.limit_in_bytes",
    usage: "memory.usage_in_bytes",
    cache: "total_inactive_file",
};

/// Refuses what does not fit, with the bytes of each part that is about to be taken.
pub fn check(parts: &[(&str, usize)]) -> Result<(), Failure> {
    Ok(plan::check_memory(parts, available())?)
}

/// Bytes that may still be taken, where the system tells.
pub fn available() -> Option<u64> {
    let read = |path: &Path| fs::read_to_string(path).ok();
    let machine = read(Path::new("/proc/meminfo")).and_then(|text| free(&text));
    let groups = read(Path::new("/proc/self/cgroup")).unwrap_or_default();
    let within = folders(&groups).into_iter().filter_map(|(version, folder)| {
        let file = |name: &str| read(&folder.join(name));
        let stat = file("memory.stat").unwrap_or_default();
        room(version, &file(version.limit)?, &file(version.usage)?, &stat)
    });
    machine.into_iter().chain(within).min()
}

/// The free bytes that `/proc/meminfo` tells.
fn free(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kb| kb * 1024)
}

/// The folders of the groups that `/proc/self/cgroup` names and of all groups around them: each has a limit of its
/// own. Inside a container the names may be those of the outside; its own group is then the root.
fn folders(groups: &str) -> Vec<(&'static Version, PathBuf)> {
    let mut found = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let version = match controllers {
            "" => &SECOND,
            _ if controllers.split(',').any(|name| name == "memory") => &FIRST,
            _ => continue,
        };
        let folder = Path::new(version.root).join(path.trim_start_matches('/'));
        let around = folder.ancestors().take_while(|folder| folder.starts_with(version.root));
        found.extend(around.map(|folder| (version, folder.to_path_buf())));
    }
    found
}

/// Bytes that a group may still take, from the texts of its files; `None` without a limit.
fn room(version: &Version, limit: &str, usage: &str, stat: &str) -> Option<u64> {
    let limit: u64 = limit.trim().parse().ok()?;
    let usage: u64 = usage.trim().parse().ok()?;
    let cache =
        stat.lines().find_map(|line| line.strip_prefix(version.cache)?.strip_prefix(' ')?.parse().ok());
    Some(limit.saturating_sub(usage.saturating_sub(cache.unwrap_or(0))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_has_room_up_to_its_limit() {
        let stat = "anon 700\ninactive_file_x 9\ninactive_file 200\ntotal_inactive_file 300\n";
        assert_eq!(room(&SECOND, "1000\n", "900\n", stat), Some(300));
        assert_eq!(room(&FIRST, "1000\n", "900\n", stat), Some(400));
        assert_eq!(room(&SECOND, "1000", "900", ""), Some(100));
        assert_eq!(room(&SECOND, "1000", "1100", "inactive_file 50"), Some(0));
        assert_eq!(room(&SECOND, "max\n", "900\n", stat), None);
        assert_eq!(room(&SECOND, "1000", "", stat), None);
    }

    #[test]
    fn every_group_around_is_asked() {
        let paths =
            |text: &str| -> Vec<PathBuf> { folders(text).into_iter().map(|(_, folder)| folder).collect() };
        let own = ["/sys/fs/cgroup/user.slice/a b", "/sys/fs/cgroup/user.slice", "/sys/fs/cgroup"];
        assert_eq!(paths("0::/user.slice/a b\n"), own.map(PathBuf::from));
        let first =
            ["/docker/1", "/docker", ""].map(|path| PathBuf::from(format!("/sys/fs/cgroup/memory{path}")));
        assert_eq!(paths("12:cpu,cpuacct:/x\n4:hugetlb,memory:/docker/1\n"), first);
        assert_eq!(paths("0::/\n"), [PathBuf::from("/sys/fs/cgroup")]);
        assert!(paths("").is_empty() && paths("garbage\n1:\n").is_empty());
    }

    #[test]
    fn the_machine_tells_what_is_free() {
        assert_eq!(free("MemTotal:  9 kB\nMemAvailable:   24012 kB\n"), Some(24012 * 1024));
        assert_eq!(free("MemTotal:  9 kB\n"), None);
    }
}
