//! What the machine and the process must have for the probe.

use std::fs;
use std::path::Path;

use crate::ProbeError;

/// Where the kernel tells its types.
pub const BTF: &str = "/sys/kernel/btf/vmlinux";
const CAP_SYS_ADMIN: u32 = 21;
const CAP_PERFMON: u32 = 38;
const CAP_BPF: u32 = 39;

/// Checks capabilities and BTF, so that a lack of them is told in plain words.
pub fn check() -> Result<(), ProbeError> {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    // without /proc the kernel itself will tell
    if let Some(missing) = effective(&status).and_then(missing) {
        return Err(ProbeError::NoPermission { missing });
    }
    if !Path::new(BTF).exists() {
        return Err(ProbeError::NoBtf { path: BTF.into() });
    }
    Ok(())
}

/// The effective capabilities in the text of `/proc/thread-self/status`: they belong to a thread.
fn effective(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|l| l.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

/// The first capability that is missing from a set.
fn missing(set: u64) -> Option<&'static str> {
    let has = |bit: u32| set & (1 << bit) != 0;
    match () {
        () if has(CAP_SYS_ADMIN) => None,
        () if !has(CAP_BPF) => Some("CAP_BPF"),
        () if !has(CAP_PERFMON) => Some("CAP_PERFMON"),
        () => None,
    }
}

/// The running kernel's release.
pub fn kernel_release() -> String {
    fs::read_to_string("/proc/sys/kernel/osrelease")
        .map_or_else(|_| "unknown".into(), |text| text.trim().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_read_and_judged() {
        assert_eq!(effective("Name:\tx\nCapEff:\t000001ffffffffff\n"), Some(0x1ff_ffff_ffff));
        assert_eq!(effective("Name:\tx\n"), None);
        assert_eq!(missing(0), Some("CAP_BPF"));
        assert_eq!(missing(1 << CAP_BPF), Some("CAP_PERFMON"));
        assert_eq!(missing(1 << CAP_BPF | 1 << CAP_PERFMON), None);
        assert_eq!(missing(1 << CAP_SYS_ADMIN), None);
    }
}
