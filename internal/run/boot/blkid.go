package boot

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"bareroot/internal/run/device"
	"bareroot/internal/sys"
)

// Blkid is blkid(8) for ramdisks that hold none, as far as people and hooks
// use it: all devices or those named, -s TAG, -o full, value, device or
// export. It returns blkid's exit code.
func Blkid(args []string, out, errs io.Writer) int { return blkid(args, "/sys", out, errs) }

func blkid(args []string, sysDir string, out, errs io.Writer) int {
	format := "full"
	var tags, devs []string
	for i := 0; i < len(args); i++ {
		switch a := args[i]; {
		case (a == "-s" || a == "-o") && i+1 < len(args):
			i++
			if a == "-o" {
				format = args[i]
			} else {
				tags = append(tags, args[i])
			}
		case a == "-p" || a == "-g" || a == "-l":
		case strings.HasPrefix(a, "-"):
			fmt.Fprintf(errs, "blkid: option %s is not known here; usage: blkid [-s TAG] [-o full|value|device|export] [DEVICE...]\n", a)
			return 4
		default:
			devs = append(devs, a)
		}
	}
	if len(devs) == 0 {
		entries, _ := os.ReadDir(filepath.Join(sysDir, "class/block"))
		for _, e := range entries {
			devs = append(devs, "/dev/"+e.Name())
		}
		slices.Sort(devs)
	}
	found := 2
	for _, d := range devs {
		pairs := identify(d, sysDir)
		pairs = slices.DeleteFunc(pairs, func(p [2]string) bool { return p[1] == "" || len(tags) > 0 && !slices.Contains(tags, p[0]) })
		if len(pairs) == 0 {
			continue
		}
		found = 0
		switch format {
		case "device":
			fmt.Fprintln(out, d)
		case "value":
			for _, p := range pairs {
				fmt.Fprintln(out, p[1])
			}
		case "export":
			fmt.Fprintf(out, "DEVNAME=%s\n", d)
			for _, p := range pairs {
				fmt.Fprintf(out, "%s=%s\n", p[0], p[1])
			}
			fmt.Fprintln(out)
		default:
			fmt.Fprintf(out, "%s:", d)
			for _, p := range pairs {
				fmt.Fprintf(out, " %s=%q", p[0], p[1])
			}
			fmt.Fprintln(out)
		}
	}
	return found
}

// identify is what is on a device, as blkid's tags in their order.
func identify(dev, sysDir string) [][2]string {
	f, err := os.Open(dev)
	if err != nil {
		return nil
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil || size == 0 {
		return nil
	}
	c := device.Identify(f, size)
	out := [][2]string{{"LABEL", c.Label}, {"UUID", c.UUID}, {"TYPE", c.FS}}
	real, err := filepath.EvalSymlinks(dev)
	if err != nil {
		return out
	}
	dir, err := filepath.EvalSymlinks(filepath.Join(sysDir, "class/block", filepath.Base(real)))
	if err != nil {
		return out
	}
	num, err := strconv.Atoi(sys.Line(filepath.Join(dir, "partition")))
	if err != nil {
		return out
	}
	disk, err := os.Open(filepath.Join("/dev", filepath.Base(filepath.Dir(dir))))
	if err != nil {
		return out
	}
	defer disk.Close()
	sector, err := strconv.Atoi(sys.Line(filepath.Join(filepath.Dir(dir), "queue/logical_block_size")))
	if err != nil {
		sector = 512
	}
	part := device.Partition(disk, num, int64(sector))
	return append(out, [2]string{"PARTLABEL", part.Name}, [2]string{"PARTUUID", part.UUID})
}
