# shellcheck shell=bash disable=SC2154,SC2086
# What scripts/cluster.sh does in its cluster: docs/kubernetes.md's tutorial, line by line.
passed=0 failed=0
step() {
    local what=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
        echo "ok $what"
    else
        failed=$((failed + 1))
        echo "FAILED $what"
    fi
}
logs() { kubectl --namespace lanner logs daemonset/lanner; }
# told PART...: whether one line of lanner's log has all of these.
told() {
    local lines part
    lines=$(logs)
    for part in "$@"; do lines=$(grep -F -- "$part" <<<"$lines") || return 1; done
    echo "   $(head -n1 <<<"$lines")"
}
alert() { within 30 told "$@"; }
pod_ready() { within 120 quiet kubectl wait --for=condition=Ready "$@" --timeout=1s; }
# with_terminal COMMAND...: as from a terminal.
with_terminal() { script --quiet --command "$(printf '%q ' "$@")" /dev/null <<<exit >/dev/null; }

# lanner's own settings in which owners are asked for; the rule is the user's.
cat >$work/values.yaml <<'YAML'
collectors:
  kubernetes: {enabled: true}
customRules:
  mine.yaml: |-
    - rule: Listing in a deployment
      desc: Somebody looks around in a pod of a deployment
      condition: evt.type in (execve, execveat) and proc.name = ls and k8s.deployment.name = web
      output: looked around deployment=%k8s.deployment.name set=%k8s.rs.name node=%k8s.node.name account=%k8s.serviceaccount.name team=%k8s.ns.label[team]
      priority: NOTICE
YAML
kubectl create namespace lanner >/dev/null
kubectl label namespace default team=storage >/dev/null
chart $work/values.yaml >$work/lanner.yaml
step "the chart's objects are taken" quiet kubectl apply --namespace lanner -f $work/lanner.yaml
step "lanner's pod is ready" pod_ready pod --namespace lanner -l app.kubernetes.io/name=lanner
if [ $failed != 0 ]; then
    kubectl --namespace lanner describe pods | tail -n 12
    logs || true
    return
fi
logs | head -n 12

kubectl run mysql-db --image=mysql:8.0 --env=MYSQL_ROOT_PASSWORD=x
step "a database runs" pod_ready pod/mysql-db
with_terminal nsenter --net=/run/netns/$name "$programs/kubectl" --kubeconfig $work/kubeconfig exec -it mysql-db -- bash -il
step "a shell with a terminal is told with its pod" \
    alert "A shell was spawned in a container with an attached terminal" k8s_pod_name=mysql-db k8s_ns_name=default container_image_repository=docker.io/library/mysql

cat >$work/kuberecon.yaml <<'YAML'
apiVersion: v1
kind: Pod
metadata: {name: kuberecon}
spec:
  containers:
    - {name: kuberecon, image: octarinesec/kube-recon, imagePullPolicy: IfNotPresent, securityContext: {privileged: true}}
YAML
kubectl apply -f $work/kuberecon.yaml
step "a privileged pod runs" pod_ready pod/kuberecon
step "and is told" alert "Privileged container started" k8s_pod_name=kuberecon
kubectl exec kuberecon -- kubectl get pods >/dev/null 2>&1 || true
step "a Kubernetes client in it is told" alert "Docker or kubernetes client executed in container" k8s_pod_name=kuberecon
step "and its call of the API server" alert "$service:443" k8s_pod_name=kuberecon
kubectl exec kuberecon -- bash -c 'amicontained /proc/self/ns/ipc; true'
step "and a change of namespace" alert "Namespace change (setns)" k8s_pod_name=kuberecon
cat /etc/shadow >/dev/null
step "a sensitive file read on the node is told of the host" alert "cat /etc/shadow" container_id=host

kubectl create deployment web --image=mysql:8.0
step "a deployment runs" within 120 quiet kubectl wait --for=condition=Available deployment/web --timeout=1s
kubectl exec deployment/web -- ls / >/dev/null
step "an alert names deployment, node, account and the namespace's labels" \
    alert "looked around deployment=web set=web-" node=worker-1 account=default team=storage

# A changed ConfigMap reaches the pod when the kubelet looks again.
sed 's/looked around/LOOKED AROUND/' $work/values.yaml >$work/changed.yaml
pod_before=$(kubectl --namespace lanner get pods --output name)
chart $work/changed.yaml | kubectl apply --namespace lanner -f - >/dev/null
changed() {
    kubectl exec deployment/web -- ls / >/dev/null
    sleep 2
    told "LOOKED AROUND deployment=web"
}
step "a changed rule is taken over without a restart" within 180 changed
step "by the same pod" test "$pod_before" = "$(kubectl --namespace lanner get pods --output name)"
restarts() { kubectl --namespace lanner get pods --output 'jsonpath={.items[*].status.containerStatuses[*].restartCount}'; }
step "which never started anew" test "$(restarts)" = 0
step "a deleted release is gone" quiet kubectl delete --namespace lanner -f $work/lanner.yaml --timeout=60s
kubectl delete pods,deployments --all --grace-period=1 >/dev/null
