package rootfs

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"bareroot/internal/cmdline"
	"bareroot/internal/run/device"
)

// resumeLimit is how long a device with a hibernated system is waited for once
// the root is there: swap that is gone shall not hold up the boot.
const resumeLimit = 10 * time.Second

// Resume starts the hibernated system that resume= names, if there is one. It
// returns if there is none, or if the kernel did not take it.
func Resume(ctx context.Context, e *Env) {
	form, ok := e.Line.Get("resume")
	if !ok || form == "" || form == "none" || noResume(e.Line) {
		return
	}
	dev, _, err := e.Devices.Wait(ctx, form, min(resumeLimit, e.Limit))
	if err != nil {
		e.Log.Warnf("resume=%s: %v; the boot goes on without", form, err)
		return
	}
	pages := int64(0)
	if s, given := e.Line.Get("resume_offset"); given {
		if pages, err = strconv.ParseInt(s, 10, 64); err != nil || pages < 0 {
			e.Log.Warnf("resume_offset=%s is no number of pages; nothing is resumed", s)
			return
		}
	}
	there, err := hibernated(dev, pages)
	if err != nil {
		e.Log.Warnf("resume=%s: %v", form, err)
		return
	}
	if !there {
		e.Log.Debugf("resume=%s: no hibernated system there", form)
		return
	}
	var st unix.Stat_t
	if err := unix.Stat(dev, &st); err != nil {
		e.Log.Warnf("resume=%s: %v", form, err)
		return
	}
	e.Log.Infof("resuming the system that hibernated to %s", dev)
	if pages > 0 {
		if err := os.WriteFile("/sys/power/resume_offset", []byte(fmt.Sprint(pages)), 0); err != nil {
			e.Log.Warnf("resume=%s: %v", form, err)
			return
		}
	}
	number := fmt.Sprintf("%d:%d", unix.Major(st.Rdev), unix.Minor(st.Rdev))
	if err := os.WriteFile("/sys/power/resume", []byte(number), 0); err != nil {
		e.Log.Warnf("resume from %s: %v", dev, err)
		return
	}
	e.Log.Warnf("the kernel did not resume from %s; see the lines of PM: in its log", dev)
}

// noResume says whether the line forbids it: the kernel would not do it either
// (kernel/power/hibernate.c).
func noResume(l cmdline.Line) bool {
	h, _ := l.Get("hibernate")
	return l.Has("noresume") || l.Has("nohibernate") || h == "no" || h == "noresume"
}

// hibernated says whether the kernel's mark is there, pages after the start.
func hibernated(dev string, pages int64) (bool, error) {
	f, err := os.Open(dev)
	if err != nil {
		return false, err
	}
	defer f.Close()
	page := int64(os.Getpagesize())
	mark := make([]byte, 10)
	if _, err := f.ReadAt(mark, pages*page+page-10); err != nil {
		return false, fmt.Errorf("read %s: %w", dev, err)
	}
	return device.Hibernated(mark), nil
}
