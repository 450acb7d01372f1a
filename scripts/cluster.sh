#!/usr/bin/env bash
# cluster [--bin EXE] [--keep]: a real Kubernetes of one node on this machine, with lanner installed in it as a user does:
# API server, etcd, controllers, scheduler and kubelet (scripts/kubernetes.sh), containerd and its pods, in a network
# namespace of their own. The tutorial's attacks are done by kubectl; what `kubectl logs` of lanner's pod says is held
# against what it should (tests/cluster/tutorial.sh). Closes with `N passed, N failed`; nothing of it stays, but with --keep
# until Enter is pressed. Without --bin the executable is built first. Needs root.
set -euo pipefail
cd "$(dirname "$0")/.."
# Mounts of its own, shared with its pods as systemd has it on a node, and gone with it.
if [ "${LANNER_CLUSTER:-}" != inside ]; then
    LANNER_CLUSTER=inside exec unshare --mount --propagation private "scripts/${0##*/}" "$@"
fi
mount --make-rshared /
exe=
keep=
while [ $# -gt 0 ]; do
    case $1 in
    --bin) exe=$(realpath "$2"); shift ;;
    --keep) keep=yes ;;
    *) echo "cluster: unknown option $1 (there are --bin EXE and --keep)" >&2; exit 2 ;;
    esac
    shift
done
for tool in cc etcd containerd runc podman busybox openssl ip mmdebstrap go script /usr/lib/cni/ptp; do
    command -v $tool >/dev/null || { echo "cluster: $tool is missing; run scripts/setup.sh --cluster" >&2; exit 1; }
done
[ -n "$exe" ] || { scripts/setup.sh && cargo build --release -p lanner && exe=$(realpath "${CARGO_TARGET_DIR:-target}/release/lanner"); }
programs=$(scripts/kubernetes.sh)
version=$("$exe" --version | cut -d' ' -f2)
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")

# The node's names: of its folder, its network namespace and the cgroup below which all its pods are.
name=lanner-cluster
work=/run/$name
node=10.88.76.1
service=10.96.0.1
[ ! -e $work ] || { echo "cluster: $work is there already: another one runs, or was killed" >&2; exit 1; }
mkdir -p $work/{log,cni,images,kubelet}

kubectl() { inside "$programs/kubectl" --kubeconfig $work/kubeconfig "$@"; }
inside() { nsenter --net=/run/netns/$name -- "$@"; }
# run NAME COMMAND...: in the background, with a log.
run() {
    local what=$1
    shift
    nsenter --net=/run/netns/$name -- "$@" >$work/log/"$what" 2>&1 </dev/null &
    echo $! >$work/"$what".pid
}
stop() { [ ! -e $work/"$1".pid ] || kill "$(cat $work/"$1".pid)" 2>/dev/null || true; }

clean() {
    set +e
    stop kubelet
    sleep 1
    for round in 1 2 3; do
        # What is left of the pods.
        find /sys/fs/cgroup -path "*/$name/*" -name cgroup.procs -exec cat {} + | sort -u |
            while read -r process; do kill -9 "$process"; done
        sleep 0.$round
    done
    for what in scheduler controllers apiserver etcd containerd; do stop $what; done
    sleep 1
    for process in /proc/[0-9]*; do
        if tr '\0' '\n' 2>/dev/null <"$process/cmdline" | grep -qF "$work/containerd"; then kill -9 "${process#/proc/}"; fi
    done
    awk -v at="$work/" 'index($5, at) == 1 { print $5 }' /proc/self/mountinfo | sort -r | while read -r mount; do umount -l "$mount"; done
    ip netns delete $name
    find /sys/fs/cgroup -depth -type d -path "*/$name*" -exec rmdir {} \;
    rm -rf --one-file-system $work
} 2>/dev/null
trap clean EXIT
# Ctrl-C and the like clean up too.
trap 'exit 130' INT TERM HUP

# The network: the node's address and that of the service `kubernetes` are the API server's.
ip netns add $name
inside ip link set lo up
inside ip addr add $node/32 dev lo
inside ip addr add $service/32 dev lo
cat >$work/cni/pods.conflist <<END
{"cniVersion": "0.4.0", "name": "pods", "plugins": [{"type": "ptp",
  "ipam": {"type": "host-local", "subnet": "10.88.77.0/24", "routes": [{"dst": "0.0.0.0/0"}], "dataDir": "$work/addresses"}}]}
END

# containerd.
cat >$work/containerd.toml <<END
version = 2
root = "$work/containerd/root"
state = "/run/containerd"
oom_score = 0
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing"]
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "$work/containerd/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "lanner.test/pause:1"
  disable_apparmor = true
  restrict_oom_score_adj = true
  stream_server_address = "127.0.0.1"
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "/usr/lib/cni"
  conf_dir = "$work/cni"
END
[ ! -S /run/containerd/containerd.sock ] || { echo "cluster: a containerd runs here already" >&2; exit 1; }
run containerd containerd --config $work/containerd.toml

# Images, of what this machine has; and lanner's, as scripts/image.sh makes it.
root=$work/images/root
mkdir -p $root/{bin,etc,proc,root,tmp,usr/bin}
cp "$(command -v busybox)" $root/bin/busybox
for applet in sh cat ls sleep unshare true; do ln -s busybox $root/bin/$applet; done
install -D /bin/bash $root/bin/bash
ldd /bin/bash | grep -o '/[^ ]*' | while read -r library; do install -D "$library" "$root$library"; done
cp "$programs/kubectl" $root/usr/bin/kubectl
cc -O1 -static -o $root/usr/bin/amicontained tests/bed/programs/actor.c
echo root:x:0:0:root:/root:/bin/bash >$root/etc/passwd
engine() { podman --root $work/images/store --runroot $work/images/run --storage-driver vfs "$@"; }
for image in lanner.test/pause:1 docker.io/library/mysql:8.0 docker.io/octarinesec/kube-recon:latest; do
    tar -C $root -c . | engine import --quiet --change 'CMD ["/bin/sleep", "1000000"]' - $image >/dev/null
    engine save --quiet --output $work/images/one.tar $image
    ctr --namespace k8s.io images import $work/images/one.tar >/dev/null
    rm $work/images/one.tar
done
if ! podman image exists "localhost/lanner:$version" || [ "$exe" -nt "$target/image.built" ]; then
    scripts/image.sh --bin "$exe" >/dev/null
    touch "$target/image.built"
fi
podman save --quiet --output $work/images/lanner.tar "localhost/lanner:$version"
ctr --namespace k8s.io images import $work/images/lanner.tar >/dev/null
ctr --namespace k8s.io images tag "localhost/lanner:$version" "docker.io/library/lanner:$version" >/dev/null
rm -rf --one-file-system $work/images

# Kubernetes.
openssl genrsa -out $work/accounts.key 2048 2>/dev/null
echo of-the-administrator,admin,admin,system:masters >$work/tokens.csv
cat >$work/kubeconfig <<END
apiVersion: v1
kind: Config
clusters: [{name: here, cluster: {server: "https://$service:443", certificate-authority: $work/certs/apiserver.crt}}]
users: [{name: admin, user: {token: of-the-administrator}}]
contexts: [{name: here, context: {cluster: here, user: admin}}]
current-context: here
END
# The images are nowhere to be pulled from again, so a disk that is rather full takes none of them away.
cat >$work/kubelet.yaml <<END
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
cgroupDriver: cgroupfs
cgroupRoot: /$name
failSwapOn: false
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
address: $node
readOnlyPort: 0
healthzPort: 0
makeIPTablesUtilChains: false
resolvConf: ""
enforceNodeAllocatable: []
syncFrequency: 10s
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%, nodefs.inodesFree: 1%}
END
for controller in /sys/fs/cgroup /sys/fs/cgroup/*; do
    [ -e "$controller/cgroup.procs" ] || continue
    mkdir -p "$controller/$name"
    for file in cpuset.cpus cpuset.mems; do
        [ ! -e "$controller/$file" ] || cat "$controller/$file" >"$controller/$name/$file"
    done
done
at() { echo "http://127.0.0.1:$1"; }
run etcd etcd --data-dir $work/etcd --listen-client-urls "$(at 2379)" --advertise-client-urls "$(at 2379)" \
    --listen-peer-urls "$(at 2380)" --initial-advertise-peer-urls "$(at 2380)" --initial-cluster "default=$(at 2380)"
run apiserver "$programs/kube-apiserver" --etcd-servers "$(at 2379)" --cert-dir $work/certs --secure-port 443 \
    --advertise-address $node --token-auth-file $work/tokens.csv --authorization-mode RBAC --allow-privileged \
    --kubelet-preferred-address-types InternalIP \
    --service-account-issuer https://kubernetes.default.svc --service-account-signing-key-file $work/accounts.key \
    --service-account-key-file $work/accounts.key --service-cluster-ip-range 10.96.0.0/24
within() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $end ] || return 1
        sleep 1
    done
}
quiet() { "$@" >/dev/null 2>&1; }
within 120 quiet kubectl get --raw /readyz || { tail -n5 $work/log/apiserver >&2; exit 1; }
run controllers "$programs/kube-controller-manager" --kubeconfig $work/kubeconfig --leader-elect=false \
    --service-account-private-key-file $work/accounts.key --root-ca-file $work/certs/apiserver.crt \
    --use-service-account-credentials --cert-dir $work/certs
run scheduler "$programs/kube-scheduler" --kubeconfig $work/kubeconfig --leader-elect=false --cert-dir $work/certs
run kubelet "$programs/kubelet" --kubeconfig $work/kubeconfig --config $work/kubelet.yaml --root-dir $work/kubelet \
    --container-runtime remote --container-runtime-endpoint unix:///run/containerd/containerd.sock \
    --hostname-override worker-1 --node-ip $node --cert-dir $work/kubelet/pki
within 120 quiet kubectl wait --for=condition=Ready node/worker-1 --timeout=1s || { tail -n5 $work/log/kubelet >&2; exit 1; }
kubectl get nodes --output wide

# The chart, rendered as Helm does it.
(cd tests/deploy/render && GO111MODULE=off GOPATH=/usr/share/gocode go build -o $work/render .)
# What this machine itself may not, no pod of it may be given: there are some without CAP_SYS_RESOURCE (bit 24).
bounds=$(sed -n 's/^CapBnd:\s*//p' /proc/self/status)
fit=(cat)
if [ $((0x$bounds >> 24 & 1)) = 0 ]; then
    echo "cluster: this machine has no CAP_SYS_RESOURCE; it is left out of the pod's capabilities"
    fit=(sed 's/, SYS_RESOURCE\]/]/')
fi
chart() {
    $work/render deploy/helm/lanner lanner lanner "$@" | sed '/^# Source: lanner\/templates\/NOTES.txt$/,$d' | "${fit[@]}"
}

# shellcheck source=tests/cluster/tutorial.sh
. tests/cluster/tutorial.sh
[ -z "$keep" ] || read -rp "cluster: KUBECONFIG=$work/kubeconfig nsenter --net=/run/netns/$name $programs/kubectl …; Enter ends it "
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
