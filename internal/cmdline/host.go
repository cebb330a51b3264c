package cmdline

import (
	"strconv"
	"strings"
)

// cutHost cuts at the first ":" after a host; brackets belong to the host.
func cutHost(s string) (host, rest string, found bool) {
	if strings.HasPrefix(s, "[") {
		if end := strings.IndexByte(s, ']'); end > 0 {
			host, rest = s[:end+1], s[end+1:]
			if after, ok := strings.CutPrefix(rest, ":"); ok {
				return host, after, true
			}
			return host + rest, "", false
		}
	}
	return strings.Cut(s, ":")
}

func port(s string) bool {
	n, err := strconv.Atoi(s)
	return err == nil && digits(s) && n > 0 && n < 65536
}
