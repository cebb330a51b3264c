package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"bareroot/internal/cmdline"
	"bareroot/internal/cmdline/words"
)

// maxReport is more than any report that a ramdisk writes.
const maxReport = 16 << 20

// bootReport is what rdsosreport.txt of a failed boot says.
type bootReport struct {
	Program  string   `json:"program"` // bareroot or dracut
	Kernel   string   `json:"kernel,omitempty"`
	Stage    string   `json:"stage,omitempty"`
	Failed   []string `json:"failed"`
	Done     []string `json:"done,omitempty"`
	Missing  string   `json:"missing,omitempty"`
	Cmdline  string   `json:"cmdline,omitempty"`
	Words    []string `json:"words,omitempty"`    // of the command line, that are malformed or unknown
	Findings []string `json:"findings,omitempty"` // what the logs show
	Try      []string `json:"try,omitempty"`
}

func newReportCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "report FILE",
		Short: "Explain the report of a boot that failed in the ramdisk",
		Long: `Explain rdsosreport.txt, which a ramdisk leaves in /run/initramfs when it cannot
boot: what failed and in which stage, what was done before, what the command line
has to do with it, what the kernel's log shows, and what to try. Reports of
dracut's ramdisks are read, too. "-" reads standard input.

The report holds no passwords of the command line, but names, addresses and serial numbers.`,
		Example: "  bareroot report rdsosreport.txt\n  ssh root@node1 cat /run/initramfs/rdsosreport.txt | bareroot report -",
		Args:    arguments("FILE"),
	}
	asJSON := cmd.Flags().Bool("json", false, "print a JSON document instead of text")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		in := e.Stdin
		if args[0] != "-" {
			f, err := os.Open(args[0])
			if err != nil {
				return usageError{err}
			}
			defer f.Close()
			in = f
		}
		text, err := io.ReadAll(io.LimitReader(in, maxReport))
		if err != nil {
			return fmt.Errorf("read %s: %w", args[0], err)
		}
		r, ok := readReport(string(text))
		if !ok {
			return usageError{fmt.Errorf("%s is no report of a ramdisk: it has no section of one (rdsosreport.txt is meant)", args[0])}
		}
		return show(e, *asJSON, r, func(w io.Writer) { writeReport(w, r) })
	}
	return cmd
}

// sections cuts a report where lines begin with "+ ", the shell's way of saying
// what it runs.
func sections(text string) map[string][]string {
	out := map[string][]string{}
	title := ""
	s := bufio.NewScanner(strings.NewReader(text))
	s.Buffer(nil, maxReport)
	for s.Scan() {
		l := s.Text()
		if t, ok := strings.CutPrefix(l, "+ "); ok {
			title = strings.TrimSpace(t)
			out[title] = nil
			continue
		}
		if title != "" {
			out[title] = append(out[title], l)
		}
	}
	return out
}

// readReport finds what matters. It is not ok for a text that is no report.
func readReport(text string) (r bootReport, ok bool) {
	s := sections(text)
	r.Program = "dracut"
	if lines, ours := s["bareroot failure"]; ours {
		r.Program, ok = "bareroot", true
		for _, l := range lines {
			k, v, _ := strings.Cut(l, ": ")
			switch k {
			case "stage":
				r.Stage = v
			case "kernel":
				r.Kernel = v
			case "failed":
				r.Failed = append(r.Failed, v)
			case "done":
				r.Done = append(r.Done, v)
			case "missing":
				r.Missing = v
			case "try":
				r.Try = append(r.Try, v)
			}
		}
	}
	for _, title := range []string{"command line, joined", "cat /proc/cmdline"} {
		if l := s[title]; len(l) > 0 && r.Cmdline == "" {
			ok = true
			r.Cmdline = strings.TrimSpace(l[0])
		}
	}
	for title := range s {
		if strings.Contains(title, "rdsosreport") || title == "dmesg" || strings.HasPrefix(title, "journalctl") || title == "cat /proc/self/mountinfo" {
			ok = true
		}
	}
	if !ok {
		return r, false
	}
	for _, w := range words.Explain(cmdline.Parse(r.Cmdline, ""), "root").Words {
		if w.State == words.Malformed {
			r.Words = append(r.Words, w.Word+": "+w.Problem)
		}
	}
	r.judge(text)
	return r, true
}

func writeReport(w io.Writer, r bootReport) {
	list := func(title string, lines []string) {
		if len(lines) == 0 {
			return
		}
		fmt.Fprintf(w, "%s:\n", title)
		for _, l := range lines {
			fmt.Fprintf(w, "  %s\n", clean(l))
		}
	}
	stage := ""
	if r.Stage != "" {
		stage = " in stage " + r.Stage
	}
	fmt.Fprintf(w, "A boot by a ramdisk of %s%s failed%s.\n", r.Program, kernelText(r.Kernel), stage)
	list("What failed", r.Failed)
	list("What was done before", r.Done)
	if r.Missing != "" {
		list("What is missing", []string{r.Missing})
	}
	if r.Cmdline != "" {
		list("Command line", []string{r.Cmdline})
	}
	list("Malformed words in it", r.Words)
	list("What the logs show", r.Findings)
	list("Try, in the ramdisk's shell", r.Try)
}

func kernelText(v string) string {
	if v == "" {
		return ""
	}
	return ", kernel " + v + ","
}
