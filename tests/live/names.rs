//! An alert says which container and which pod, from a container's first event on, whatever its runtime does.

use std::thread;
use std::time::{Duration, Instant};

use lanner_testbed::{API_CLIENT_IMAGE, bed_or_skip};

use crate::watch::{Turn, Watch};

#[test]
fn the_first_process_of_a_short_container_has_its_pod() {
    let Some(_turn) = Turn::take() else { return };
    let bed = bed_or_skip!();
    let mut watch = Watch::with_bed(&bed, "");
    let pods: Vec<String> = (0..8).map(|number| format!("job-{number}")).collect();
    thread::scope(|scope| {
        for name in &pods {
            let bed = &bed;
            scope.spawn(move || {
                let pod = bed.pod(name).namespace("batch").start().unwrap();
                // It does nothing but the deed, and is gone.
                let command = ["kubectl", "delete", "pod", name];
                pod.container("job").image(API_CLIENT_IMAGE).command(&command).start().unwrap();
                pod.stop().unwrap();
            });
        }
    });
    for name in &pods {
        let line = watch.alert(&[&format!("kubectl delete pod {name} ")]);
        for part in [&format!("k8s.pod={name} "), "k8s.ns=batch ", "/kube-recon"] {
            assert!(line.contains(part), "`{part}` is not in: {line}");
        }
    }
    watch.stop();
}

#[test]
fn containers_that_ran_before_have_their_names() {
    let Some(_turn) = Turn::take() else { return };
    let bed = bed_or_skip!();
    let pod = bed.pod("old-0").start().unwrap();
    let old = pod.container("old").image(API_CLIENT_IMAGE).start().unwrap();
    let mut watch = Watch::with_bed(&bed, "");
    old.exec(&["kube-recon", "kubectl", "top"]).unwrap();
    let line = watch.alert(&["kubectl top"]);
    assert!(line.contains("k8s.pod=old-0 ") && line.contains("/kube-recon"), "{line}");
    watch.stop();
}

#[test]
fn a_hung_runtime_holds_up_an_alert_for_a_moment_and_its_bundle_names_the_pod() {
    let Some(_turn) = Turn::take() else { return };
    let bed = bed_or_skip!();
    let pod = bed.pod("stuck-0").start().unwrap();
    let stuck = pod.container("stuck").image(API_CLIENT_IMAGE).start().unwrap();
    let mut watch = Watch::with_bed(&bed, "");
    // The exec itself goes past containerd.
    bed.freeze().unwrap();
    let began = Instant::now();
    let mut shell = stuck.exec_tty(&["bash", "-i"]).unwrap();
    let line = watch.alert(&["bash -i ", "terminal=34816"]);
    let took = began.elapsed();
    bed.thaw().unwrap();
    assert!(line.contains("k8s.pod=stuck-0 ") && line.contains("/kube-recon"), "{line}");
    assert!(took < Duration::from_secs(6), "{took:?}");
    shell.line("exit").unwrap();
    watch.stop();
}
