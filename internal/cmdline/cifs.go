package cmdline

import (
	"fmt"
	"strings"
)

// CIFS is cifs://[USER[:PASS]@]SERVER/SHARE[/DIR].
type CIFS struct{ User, Password, Server, Share, Dir string }

// ParseCIFS reads root=cifs://.
func ParseCIFS(v string) (CIFS, error) {
	rest, ok := strings.CutPrefix(v, "cifs://")
	host, path, _ := strings.Cut(rest, "/")
	var c CIFS
	if at := strings.LastIndexByte(host, '@'); at >= 0 {
		c.User, c.Password, _ = strings.Cut(host[:at], ":")
		host = host[at+1:]
	}
	c.Server = host
	c.Share, c.Dir, _ = strings.Cut(path, "/")
	if !ok || c.Server == "" || c.Share == "" {
		return CIFS{}, fmt.Errorf("%s: the form is cifs://[USER[:PASSWORD]@]SERVER/SHARE[/DIRECTORY]", MaskValue(v))
	}
	return c, nil
}
