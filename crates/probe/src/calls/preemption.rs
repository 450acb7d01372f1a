//! Whether the kernel lets one thread take the CPU from another in the middle of a call.
//!
//! Programs at functions may be interrupted then, and another thread's would write into the same work buffer; since 7.0
//! those at tracepoints may be, too, and other threads' runs of the same program are left out meanwhile.

use std::fs;

use crate::require::kernel_release;

const CHOICE: &str = "/sys/kernel/debug/sched/preempt";

/// Says what is known to be wrong, or nothing.
pub fn in_the_way() -> Option<String> {
    let version = fs::read_to_string("/proc/sys/kernel/version").unwrap_or_default();
    let choice = fs::read_to_string(CHOICE).ok();
    let line = fs::read_to_string("/proc/cmdline").unwrap_or_default();
    judge(&version, choice.as_deref(), &line)
}

/// Why runs of programs at tracepoints may be left out, if they may.
pub fn leaves_out() -> Option<String> {
    may_stop_at_tracepoints(&kernel_release()).then(in_the_way).flatten()
}

fn may_stop_at_tracepoints(release: &str) -> bool {
    let major = release.split('.').next().and_then(|number| number.parse::<u32>().ok());
    major.is_none_or(|major| major >= 7)
}

fn judge(version: &str, choice: Option<&str>, command_line: &str) -> Option<String> {
    let has = |word: &str| version.split_whitespace().any(|part| part == word);
    if has("PREEMPT") || has("PREEMPT_RT") {
        return Some("this kernel is fully preemptible".into());
    }
    if !has("PREEMPT_DYNAMIC") {
        return None;
    }
    let chosen = choice.and_then(|text| text.split_once('(')?.1.split_once(')')).map(|(mode, _)| mode);
    let asked = command_line.split_whitespace().filter_map(|word| word.strip_prefix("preempt=")).next_back();
    match chosen.or(asked) {
        Some("none" | "voluntary") => None,
        Some(mode) => Some(format!("this kernel preempts (preempt={mode})")),
        None => {
            Some(format!("whether this kernel preempts can't be told: {CHOICE} is not there (mount debugfs)"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_at_tracepoints_may_be_left_out_since_seven() {
        assert!(
            ["7.0.1", "7.3.4+deb13-cloud-amd64", "10.1", "unknown"].into_iter().all(may_stop_at_tracepoints)
        );
        assert!(!["6.18.15+deb13-cloud-amd64", "5.8.0"].into_iter().any(may_stop_at_tracepoints));
    }

    #[test]
    fn only_what_is_known_not_to_preempt_is_trusted() {
        let dynamic = "#1 SMP PREEMPT_DYNAMIC Debian 6.1";
        let fits = |version, choice, line| judge(version, choice, line).is_none();
        assert!(fits("#1 SMP Debian 5.10", None, ""));
        assert!(!fits("#1 SMP PREEMPT_RT Debian", Some("(none) voluntary full"), ""));
        assert!(!fits("#1 SMP PREEMPT Debian", None, "preempt=none"));
        assert!(fits(dynamic, Some("none (voluntary) full\n"), "preempt=full"));
        assert!(!fits(dynamic, Some("none voluntary (full)"), ""));
        assert!(!fits(dynamic, Some("none voluntary full (lazy)"), ""));
        assert!(fits(dynamic, None, "quiet preempt=voluntary"));
        assert!(!fits(dynamic, None, "quiet preempt=none preempt=full"));
        assert!(!fits(dynamic, None, "quiet"));
    }
}
