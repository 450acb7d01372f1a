//! The kernel, and how it was started.

use super::facts::Facts;
use super::{Finding, Mark, Section};

/// The oldest kernel that has all that is needed (ring buffers, iterators, tracing by BTF).
const OLDEST: (u32, u32) = (5, 8);
/// Clocks that cost microseconds to read.
const SLOW_CLOCKS: &[&str] = &["hpet", "acpi_pm", "jiffies", "refined-jiffies"];

fn finding(name: &str, mark: Mark, text: impl Into<String>) -> Finding {
    Finding::new(Section::Kernel, name, mark, text)
}

/// What is found. `opens`: whether the probe could be opened.
pub fn findings(facts: &Facts, opens: bool) -> Vec<Finding> {
    let mut out = vec![release(facts), btf(facts)];
    out.extend(jit(facts));
    out.extend([lockdown(facts), seccomp(facts, opens), clock(facts), bpf_mount(facts)]);
    out
}

fn release(facts: &Facts) -> Finding {
    let text = format!("{}, {}", facts.release, facts.machine);
    match facts.version() {
        Some(version) if version < OLDEST => finding("release", Mark::Bad, text)
            .cost("nothing can be watched")
            .advice("use Linux 5.8 or later, with BTF"),
        _ => finding("release", Mark::Ok, text),
    }
}

fn btf(facts: &Facts) -> Finding {
    match facts.btf {
        Some(bytes) => finding("BTF", Mark::Ok, format!("/sys/kernel/btf/vmlinux, {} KiB", bytes / 1024)),
        None => finding("BTF", Mark::Bad, "/sys/kernel/btf/vmlinux can't be read")
            .cost("nothing can be watched")
            .advice(
                "use a kernel with CONFIG_DEBUG_INFO_BTF=y (most distributions' since 5.8); in a container, \
                 mount the host's /sys",
            ),
    }
}

/// Root alone may read it, so there may be nothing to say.
fn jit(facts: &Facts) -> Option<Finding> {
    match facts.jit.as_deref()? {
        "0" => Some(
            finding("BPF compiler", Mark::Warn, "off: programs are interpreted")
                .cost("every system call of this host takes longer")
                .advice("sysctl net.core.bpf_jit_enable=1"),
        ),
        _ => Some(finding("BPF compiler", Mark::Ok, "on")),
    }
}

fn lockdown(facts: &Facts) -> Finding {
    let Some(modes) = &facts.lockdown else {
        return finding("lockdown", Mark::Note, "not known: /sys/kernel/security/lockdown can't be read");
    };
    let mode = modes.split(['[', ']']).nth(1).unwrap_or(modes);
    match mode {
        "confidentiality" => finding("lockdown", Mark::Bad, mode)
            .cost("programs may not read the kernel's memory: nothing can be watched")
            .advice("start the kernel with lockdown=integrity"),
        _ => finding("lockdown", Mark::Ok, mode),
    }
}

fn seccomp(facts: &Facts, opens: bool) -> Finding {
    match facts.status("Seccomp") {
        Some("0") => finding("seccomp", Mark::Ok, "no filter on this process"),
        Some(_) if opens => finding("seccomp", Mark::Ok, "a filter that lets bpf() pass"),
        Some(_) => finding("seccomp", Mark::Warn, "a filter is on this process")
            .cost("it may be what forbids bpf() and perf_event_open()")
            .advice("run the container with seccomp=unconfined, or with a profile that allows bpf()"),
        None => finding("seccomp", Mark::Note, "not known: this kernel does not say"),
    }
}

fn clock(facts: &Facts) -> Finding {
    match facts.clock.as_str() {
        "" => finding("clock", Mark::Note, "not known: /sys does not say"),
        slow if SLOW_CLOCKS.contains(&slow) => finding("clock", Mark::Warn, slow)
            .cost("reading the time costs microseconds, and each event does")
            .advice("find out why the kernel turned its faster clock off: dmesg | grep -i clocksource"),
        fast => finding("clock", Mark::Ok, fast),
    }
}

fn bpf_mount(facts: &Facts) -> Finding {
    match facts.mount("bpf", "") {
        Some(place) => finding("bpf file system", Mark::Ok, place.display().to_string()),
        None => finding("bpf file system", Mark::Note, "not mounted; lanner pins nothing, so it needs none"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_kernel_and_a_locked_one_are_bad() {
        let old = Facts { release: "4.19.0".into(), ..Facts::default() };
        assert_eq!(release(&old).mark, Mark::Bad);
        let locked = |modes: &str| lockdown(&Facts { lockdown: Some(modes.into()), ..Facts::default() });
        assert_eq!(locked("none integrity [confidentiality]").mark, Mark::Bad);
        let integrity = locked("none [integrity] confidentiality");
        assert_eq!((integrity.mark, integrity.text.as_str()), (Mark::Ok, "integrity"));
    }

    #[test]
    fn a_seccomp_filter_is_judged_by_what_it_did() {
        let facts = Facts { status: "Seccomp:\t2\n".into(), ..Facts::default() };
        assert_eq!(seccomp(&facts, true).mark, Mark::Ok);
        assert_eq!(seccomp(&facts, false).mark, Mark::Warn);
    }
}
