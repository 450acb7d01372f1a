//! An alert says which container and which pod, from a container's first event on, whatever its runtime does.

use std::thread;
use std::time::{Duration, Instant};

use lanner_testbed::{API_CLIENT_IMAGE, ENGINE_IMAGE, Engine, EngineKind, Pod, bed_or_skip};

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
                // Else it may be killed before it has done anything.
                thread::sleep(Duration::from_secs(1));
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

#[test]
fn in_a_storm_of_short_containers_every_alert_has_its_pod() {
    const PODS: usize = 10;
    const EACH: usize = 30;
    let Some(_turn) = Turn::take() else { return };
    let bed = bed_or_skip!();
    let mut watch = Watch::with_bed(&bed, "");
    thread::scope(|scope| {
        for number in 0..PODS {
            let bed = &bed;
            scope.spawn(move || {
                let fresh = || bed.pod(&format!("storm-{number}")).namespace("batch").start().unwrap();
                let mut pod = fresh();
                for job in 0..EACH {
                    let command = ["kubectl", "delete", "pod", &format!("victim-{number}-{job}.")];
                    let run = |pod: &Pod<'_>| {
                        let plan = pod.container(&format!("job-{job}")).image(API_CLIENT_IMAGE);
                        plan.command(&command).start().map(drop)
                    };
                    if let Err(why) = run(&pod) {
                        // On a busy machine a shim of containerd's may die, and its pod with it.
                        println!("containerd lost a pod of storm-{number}: {why:#}");
                        pod = fresh();
                        run(&pod).unwrap();
                    }
                }
                // Else the last one may be killed before it has done anything.
                thread::sleep(Duration::from_secs(1));
                pod.stop().unwrap();
            });
        }
    });
    for number in 0..PODS {
        for job in 0..EACH {
            let line = watch.alert(&[&format!("kubectl delete pod victim-{number}-{job}. ")]);
            for part in [&format!("k8s.pod=storm-{number} "), "k8s.ns=batch ", "/kube-recon"] {
                assert!(line.contains(part), "`{part}` is not in: {line}");
            }
        }
    }
    watch.stop();
}

#[test]
fn short_containers_of_docker_and_podman_have_their_names() {
    let Some(_turn) = Turn::take() else { return };
    let docker = bed_or_skip!(Engine::start(EngineKind::Docker));
    let podman = bed_or_skip!(Engine::start(EngineKind::Podman));
    let mut watch = Watch::with_engines(&[&docker, &podman], ECHO_RULE);
    // Podman works for a moment before it says where it keeps its records, which aren't in their usual place.
    thread::sleep(Duration::from_secs(2));
    thread::scope(|scope| {
        for engine in [&docker, &podman] {
            scope.spawn(move || {
                for number in 0..8 {
                    let name = format!("{:?}-{number}", engine.kind()).to_lowercase();
                    engine.run(&["--rm", "--name", &name], &["echo", &name]).unwrap();
                }
            });
        }
    });
    for number in 0..8 {
        for kind in ["docker", "podman"] {
            let line = watch.alert(&[&format!("ran echo {kind}-{number} ")]);
            let repository = ENGINE_IMAGE.split(':').next().unwrap();
            let parts = [&format!("name={kind}-{number} "), &format!("type={kind} "), repository];
            assert!(parts.iter().all(|part| line.contains(*part)), "{line}");
        }
    }
    watch.stop();
}

const ECHO_RULE: &str = "- rule: echo\n  desc: somebody has something to say\n  priority: NOTICE\n  \
    condition: evt.type = execve and container and proc.name = echo\n  \
    output: ran %proc.cmdline name=%container.name type=%container.type image=%container.image.repository\n\
    - macro: container\n  condition: container.id != host\n";

/// Rules hear when a container is known, as from Falco's plugin: by an event of its own, with its fields.
#[test]
fn rules_hear_of_a_container_when_it_is_known() {
    let Some(_turn) = Turn::take() else { return };
    let bed = lanner_testbed::bed_or_skip!();
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules.yaml");
    let rule = |name: &str, condition: &str| {
        format!(
            "- rule: {name}\n  desc: d\n  condition: {condition}\n  output: {name} %evt.type %evt.asynctype \
             async=%evt.is_async id=%container.id pod=%k8s.pod.name json=%evt.arg.data\n  priority: NOTICE\n"
        )
    };
    let both = rule("by-type", "evt.type = container") + &rule("by-asynctype", "evt.asynctype = container");
    std::fs::write(&rules, both).unwrap();
    let settings = format!("rule_matching: all\nrules_files: [{}]", rules.display());
    let mut watch = Watch::with_bed(&bed, &settings);
    let pod = bed.pod("told-by-event").start().unwrap();
    let container = pod.container("c").start().unwrap();
    let id = format!("id={} pod=told-by-event json=", container.short_id());
    for name in ["by-type", "by-asynctype"] {
        watch.alert(&[&format!("{name} container container async=true {id}"), "image", "mysql"]);
    }
    assert_eq!(watch.alerts_with(&["by-type", &id]).len(), 1);
    container.stop().unwrap();
    pod.stop().unwrap();
    watch.stop();
}
