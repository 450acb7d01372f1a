//! What the kernel counts of the programs that are attached.

use libbpf_rs::Link;
use libbpf_rs::query::ProgInfoIter;

/// How often a program ran and how long that took in all. Programs that it calls by tail calls are part of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProgramStats {
    /// Its name.
    pub name: String,
    /// How often it ran.
    pub runs: u64,
    /// How long that took, ns.
    pub time: u64,
}

/// Asks the kernel about the programs of links.
pub fn read(links: &[Link]) -> Vec<ProgramStats> {
    let enabled = std::fs::read_to_string("/proc/sys/kernel/bpf_stats_enabled");
    if enabled.map_or(true, |text| text.trim() == "0") {
        return Vec::new();
    }
    let ids: Vec<u32> = links.iter().filter_map(|link| Some(link.info().ok()?.prog_id)).collect();
    ProgInfoIter::default()
        .filter(|info| ids.contains(&info.id))
        .map(|info| ProgramStats {
            name: info.name.to_string_lossy().into_owned(),
            runs: info.run_cnt,
            time: info.run_time_ns,
        })
        .collect()
}
