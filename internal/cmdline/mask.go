package cmdline

import "strings"

// hidden stands where a password stood.
const hidden = "***"

// Masked is the line as one text without passwords and tokens: what is
// printed, logged and sent to a server.
func (l Line) Masked() string {
	out := make(Line, len(l))
	for i, w := range l {
		out[i] = w.masked()
	}
	return out.String()
}

// Masked is the word as written, without passwords and tokens.
func (w Word) Masked() string { return w.masked().String() }

func (w Word) masked() Word {
	switch {
	case w.Value == "":
	case secretName(w.Key):
		w.Value = hidden
	default:
		w.Value = MaskValue(w.Value)
	}
	return w
}

// secretName says whether what follows NAME= is a secret.
func secretName(name string) bool {
	name = strings.ToLower(name)
	for _, s := range [...]string{"password", "passwd", "passphrase", "cifspass", "rootpw", "secret", "token", "signature", "credential", "deployment_key"} {
		if strings.HasSuffix(name, s) {
			return true
		}
	}
	return name == "pass"
}

// MaskValue hides passwords within a value: of a URL's user, of an iSCSI
// login, and in lists of options or of a URL's query.
func MaskValue(v string) string {
	v = maskOptions(v)
	if i := strings.Index(v, "iscsi:"); i >= 0 && !strings.HasPrefix(v[i:], "iscsi://") {
		login, rest, ok := strings.Cut(v[i+len("iscsi:"):], "@")
		if parts := strings.Split(login, ":"); ok && len(parts) > 1 {
			for n := range parts {
				if n != 0 && n != 2 || n == 2 && len(parts) != 4 {
					parts[n] = hidden
				}
			}
			return v[:i] + "iscsi:" + strings.Join(parts, ":") + "@" + rest
		}
	}
	if i := strings.Index(v, "://"); i >= 0 {
		host, path := v[i+3:], ""
		if s := strings.IndexByte(host, '/'); s >= 0 {
			host, path = host[:s], host[s:]
		}
		if at := strings.LastIndexByte(host, '@'); at >= 0 {
			if user, _, ok := strings.Cut(host[:at], ":"); ok {
				return v[:i+3] + user + ":" + hidden + host[at:] + path
			}
		}
	}
	return v
}

// maskOptions hides the values of NAME=VALUE between , ; & and ?.
func maskOptions(v string) string {
	if !strings.Contains(v, "=") {
		return v
	}
	var b strings.Builder
	for v != "" {
		end := strings.IndexAny(v, ",;&?")
		part, sep := v, ""
		if end >= 0 {
			part, sep = v[:end], v[end:end+1]
			v = v[end+1:]
		} else {
			v = ""
		}
		if name, val, ok := strings.Cut(part, "="); ok && val != "" && secretName(name) {
			part = name + "=" + hidden
		}
		b.WriteString(part + sep)
	}
	return b.String()
}
