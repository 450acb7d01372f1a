// One program that plays the parts which rules look for, chosen by the name it is called by. Static, so
// that it runs in an image that holds nothing else.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
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
	// mysqld, pause and the like: a server at rest. The first process of a pid namespace ignores
	// signals that it has no handler for.
	signal(SIGTERM, end);
	signal(SIGINT, end);
	for (;;)
		pause();
}
