package build

import (
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Working folders are locked while a build lives, so that the next build of the
// same output tells those of builds that were killed, and removes them: /boot is
// small.

// lockFolder locks a working folder until the file is closed. On a filesystem
// without locks it gives nil, and what is left of a killed build stays.
func lockFolder(path string) *os.File {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	f := os.NewFile(uintptr(fd), path)
	if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil
	}
	return f
}

// youngest is the age below which a folder that is not locked may be one whose
// build is about to lock it.
const youngest = time.Minute

// sweep removes working folders of ours in dir that nobody holds. What cannot be
// removed stays: it is in nobody's way but the disk's.
func sweep(dir, prefix string, now time.Time) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		// What ends in .old is a boot set that was about to be replaced (replaceDir).
		if !e.IsDir() || !strings.HasPrefix(e.Name(), prefix) || strings.HasSuffix(e.Name(), ".old") {
			continue
		}
		path := filepath.Join(dir, e.Name())
		lock := lockFolder(path)
		if lock == nil {
			continue
		}
		var st unix.Stat_t
		if unix.Fstat(int(lock.Fd()), &st) == nil && int(st.Uid) == os.Geteuid() && now.Sub(time.Unix(st.Mtim.Unix())) > youngest {
			_ = os.RemoveAll(path)
		}
		lock.Close()
	}
}
