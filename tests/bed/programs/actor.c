// One program that plays the parts which rules look for, chosen by the name it is called by. Static, so
// that it runs in an image that holds nothing else.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static int run(char **command)
{
	pid_t child = fork();
	if (child == 0) {
		execvp(command[0], command);
		_exit(127);
	}
	int status = 0;
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

// Joins the namespace that a file under /proc/PID/ns names.
static int enter(const char *file)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, 0) < 0) {
		perror(file);
		return 1;
	}
	return 0;
}

static int dial(const char *host, const char *port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(atoi(port)) };
	if (inet_pton(AF_INET, host, &to.sin_addr) != 1)
		return 2;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	// Long enough for a neighbour, short enough for an address that answers nobody.
	struct timeval patience = { .tv_sec = 1 };
	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0) {
		perror(host);
		return 1;
	}
	return 0;
}

// The same in a network of its own, where the host dialled is this program: not one packet leaves.
static int dial_apart(const char *host, const char *port)
{
	int listener = -1;
	struct sockaddr_in own = { .sin_family = AF_INET };
	struct ifreq loopback = { .ifr_name = "lo" };
	if (unshare(CLONE_NEWNET) == 0)
		listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	inet_pton(AF_INET, host, &own.sin_addr);
	memcpy(&loopback.ifr_addr, &own, sizeof own);
	int failed = listener < 0 || ioctl(listener, SIOCSIFADDR, &loopback) < 0;
	loopback.ifr_flags = IFF_UP | IFF_RUNNING;
	failed = failed || ioctl(listener, SIOCSIFFLAGS, &loopback) < 0;
	own.sin_port = htons(atoi(port));
	failed = failed || bind(listener, (struct sockaddr *)&own, sizeof own) < 0 || listen(listener, 1) < 0;
	if (failed) {
		perror("dial-apart");
		return 3;
	}
	return dial(host, port);
}

// Runs a program from where it is in a file, or from a copy in memory; or makes the copy and runs nothing.
static int run_from(const char *place, char **command)
{
	int file = open(command[0], O_RDONLY | O_CLOEXEC);
	int memory = strcmp(place, "file") ? memfd_create("copy", MFD_CLOEXEC) : file;
	if (file < 0 || memory < 0)
		return 2;
	if (memory != file)
		while (sendfile(memory, file, NULL, 1 << 20) > 0)
			;
	if (!strcmp(place, "nothing"))
		return 0;
	fexecve(memory, command, environ);
	perror(command[0]);
	return 1;
}

// Takes hold of a child by ptrace, or lets the child ask for it itself.
static int trace(const char *way)
{
	int asked = !strcmp(way, "asked");
	pid_t child = fork();
	if (child == 0) {
		if (asked)
			_exit(ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0);
		pause();
	}
	int status = 0;
	if (asked) {
		waitpid(child, &status, 0);
		return WEXITSTATUS(status);
	}
	int failed = ptrace(PTRACE_ATTACH, child, NULL, NULL) < 0;
	if (!failed)
		waitpid(child, &status, 0);
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	return failed;
}

// Asks for a socket of the kind; what it would carry is left alone.
static int raw_socket(const char *kind)
{
	int fd = strcmp(kind, "packet") ? socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP)
					: socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
	if (fd < 0)
		perror(kind);
	return fd < 0;
}

// Tries to load what is no kernel module: nothing is ever loaded.
static int load_module(const char *parameters)
{
	static const char garbage[4096] = "not a module";
	syscall(SYS_init_module, garbage, sizeof garbage, parameters);
	perror("init_module");
	return 0;
}

static void end(int signal)
{
	(void)signal;
	_exit(0);
}

int main(int argc, char **argv)
{
	const char *slash = strrchr(argv[0], '/');
	const char *part = slash ? slash + 1 : argv[0];

	if (!strcmp(part, "kubectl"))
		return puts("No resources found in default namespace.") < 0;
	if (!strcmp(part, "kube-recon") && argc > 1)
		return run(argv + 1);
	if (!strcmp(part, "amicontained") && argc > 1)
		return enter(argv[1]);
	if (!strcmp(part, "dial") && argc > 2)
		return dial(argv[1], argv[2]);
	if (!strcmp(part, "dial-apart") && argc > 2)
		return dial_apart(argv[1], argv[2]);
	if (!strcmp(part, "run-from") && argc > 2)
		return run_from(argv[1], argv + 2);
	if (!strcmp(part, "trace") && argc > 1)
		return trace(argv[1]);
	if ((!strcmp(part, "raw-socket") || !strcmp(part, "ping")) && argc > 1)
		return raw_socket(argv[1]);
	if (!strcmp(part, "load-module") && argc > 1)
		return load_module(argv[1]);
	if (!strcmp(part, "apk"))
		return puts("OK: 0 MiB in 0 packages") < 0;
	// mysqld, pause and the like: a server at rest. The first process of a pid namespace ignores
	// signals that it has no handler for.
	signal(SIGTERM, end);
	signal(SIGINT, end);
	for (;;)
		pause();
}
