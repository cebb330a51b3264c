/* The init of the root that the boot benchmark boots into. It says when it was
 * started by the guest's clock, when the kernel had started the ramdisk's init,
 * what memory is free and how many modules are loaded, and switches the machine
 * off. In C and static, so that its own start costs next to nothing. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <time.h>
#include <unistd.h>

/* The time, in seconds, of the kernel's line "Run /init as init process". */
static double init_start(void)
{
	char buf[8192];
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	double at = 0;
	ssize_t n;

	while (fd >= 0 && (n = read(fd, buf, sizeof buf - 1)) != 0) {
		unsigned long long us;
		char *text;

		if (n < 0)
			break; /* the end, with O_NONBLOCK */
		buf[n] = 0;
		text = strchr(buf, ';');
		if (text && !strncmp(text + 1, "Run /init as init process", 25) && sscanf(buf, "%*u,%*u,%llu", &us) == 1)
			at = us / 1e6;
	}
	return at;
}

static long count(const char *path, const char *key)
{
	char line[512];
	long n = 0;
	FILE *f = fopen(path, "r");

	while (f && fgets(line, sizeof line, f)) {
		if (!key)
			n++;
		else if (!strncmp(line, key, strlen(key)))
			return atol(line + strlen(key));
	}
	return n;
}

int main(void)
{
	struct timespec now;
	FILE *out;
	int fd;

	clock_gettime(CLOCK_BOOTTIME, &now);
	if (access("/proc/meminfo", R_OK))
		mount("proc", "/proc", "proc", 0, 0);
	if (access("/dev/console", W_OK))
		mount("devtmpfs", "/dev", "devtmpfs", 0, 0);
	/* What the ramdisk left in memory, not what the kernel has cached. */
	fd = open("/proc/sys/vm/drop_caches", O_WRONLY);
	if (fd >= 0 && write(fd, "3\n", 2) == 2)
		close(fd);
	out = fopen("/dev/console", "w");
	if (out) {
		fprintf(out, "\nBENCH-MARKER boot=%ld.%06ld init=%.6f free=%ld modules=%ld\n", (long)now.tv_sec, now.tv_nsec / 1000,
			init_start(), count("/proc/meminfo", "MemFree:"), count("/proc/modules", NULL));
		fflush(out);
	}
	sync();
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}
