//! A process as `/proc` shows it.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

pub fn link(path: String) -> String {
    fs::read_link(path).unwrap().to_str().unwrap().to_owned()
}

/// A process, as `/proc` shows it.
pub struct Shown {
    pub pid: i64,
    pub stat: Vec<i64>,
}

impl Shown {
    pub fn of(pid: u32) -> Shown {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let rest = stat.rsplit_once(')').unwrap().1.split_whitespace().skip(1);
        Shown { pid: pid.into(), stat: rest.map(|n| n.parse().unwrap_or(i64::MAX)).collect() }
    }

    pub fn text(&self, file: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{file}", self.pid)).unwrap()
    }

    pub fn arguments(&self) -> Vec<String> {
        self.text("cmdline").split_terminator('\0').map(str::to_owned).collect()
    }

    pub fn comm(&self) -> String {
        self.text("comm").trim_end().to_owned()
    }

    pub fn exe(&self) -> String {
        link(format!("/proc/{}/exe", self.pid))
    }

    /// When it started, ns since the epoch; `/proc` counts hundredths of a second.
    pub fn start(&self) -> f64 {
        let up: f64 = fs::read_to_string("/proc/uptime").unwrap().split(' ').next().unwrap().parse().unwrap();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        (now - up + self.stat[18] as f64 / 100.0) * 1e9
    }

    /// The names of a set of capabilities.
    pub fn capabilities(&self, set: &str) -> usize {
        let status = self.text("status");
        let mask = status.lines().find_map(|line| line.strip_prefix(set)).unwrap().trim().to_owned();
        u64::from_str_radix(&mask, 16).unwrap().count_ones() as usize
    }

    pub fn cgroup(&self, controller: &str) -> Option<String> {
        let text = self.text("cgroup");
        let mut lines = text.lines().map(|line| line.splitn(3, ':').collect::<Vec<_>>());
        let found = lines.find(|parts| parts[1].split(',').any(|name| name == controller));
        found.map(|parts| parts[2].to_owned())
    }
}

/// `root` in a file of accounts.
pub fn account(file: &str, part: usize) -> Value {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("root:"));
    line.and_then(|line| line.split(':').nth(part)).map_or(Value::Null, Value::from)
}
