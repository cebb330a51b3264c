package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"bareroot/internal/build/cache"
	"bareroot/internal/human"
)

func newCacheCommand(e *env) *cobra.Command {
	return group(&cobra.Command{
		Use:   "cache",
		Short: "Look at what builds keep for the next one",
		Long:  "Look at what builds keep for the next one: pieces of ramdisks, found again by what they were made from. It can be removed at any time; the next build takes longer.",
	}, newCacheShowCommand(e), newCacheCleanCommand(e))
}

// cacheFlag declares --cache-dir, as bareroot build has it.
func cacheFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("cache-dir", "", "`DIR` of the build cache (default: bareroot/build in the user's cache folder)")
}

func newCacheShowCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "show",
		Short:   "Show how much the build cache holds",
		Example: "  bareroot cache show\n  bareroot cache show --json | jq .bytes",
		Args:    arguments(),
	}
	dir, asJSON := cacheFlag(cmd), jsonFlag(cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		c, err := cache.Open(*dir, 0)
		if err != nil {
			return err
		}
		s, err := c.Stats()
		if err != nil {
			return err
		}
		return show(e, *asJSON, s, func(w io.Writer) { writeCache(w, s, time.Now()) })
	}
	return cmd
}

func newCacheCleanCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "clean",
		Short: "Empty the build cache",
		Long:  "Empty the build cache, or with --keep remove what was unused for longest until it is no larger than that. Builds that run meanwhile are not disturbed. Files that no build has put there stay.",
		Example: `  bareroot cache clean
  bareroot cache clean --keep 500M`,
		Args: arguments(),
	}
	dir, asJSON := cacheFlag(cmd), jsonFlag(cmd)
	keep := cmd.Flags().String("keep", "", "the size to keep, such as 500M or 1GiB (default: nothing)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var size int64
		if cmd.Flags().Changed("keep") {
			var err error
			if size, err = human.ParseBytes(*keep); err != nil {
				return usageError{fmt.Errorf("--keep: %w", err)}
			}
		}
		c, err := cache.Open(*dir, 0)
		if err != nil {
			return err
		}
		remove := c.Clean
		if size > 0 {
			remove = func() (cache.Stats, error) { return c.Trim(size) }
		}
		removed, err := remove()
		if err != nil {
			return err
		}
		return show(e, *asJSON, removed, func(w io.Writer) {
			fmt.Fprintf(w, "%s: %s removed, %s\n", clean(removed.Dir), units(removed.Entries), human.Bytes(removed.Bytes))
		})
	}
	return cmd
}

func writeCache(w io.Writer, s cache.Stats, now time.Time) {
	if s.Entries == 0 {
		fmt.Fprintf(w, "%s: empty\n", clean(s.Dir))
		return
	}
	fmt.Fprintf(w, "%s: %s, %s of at most %s, the oldest used %s\n",
		clean(s.Dir), units(s.Entries), human.Bytes(s.Bytes), human.Bytes(s.Max), ago(s.Oldest, now))
	t := newTable("KIND", "UNITS", "SIZE")
	for _, kind := range slices.Sorted(maps.Keys(s.Kinds)) {
		t.add(kind, fmt.Sprint(s.Kinds[kind].Entries), human.Bytes(s.Kinds[kind].Bytes))
	}
	t.write(w, "")
}

func units(n int) string {
	if n == 1 {
		return "1 unit"
	}
	return fmt.Sprintf("%d units", n)
}
