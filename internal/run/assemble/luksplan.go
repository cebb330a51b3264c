package assemble

import (
	"slices"
	"strings"

	"bareroot/internal/run/device"
)

// Unlock is how one device is opened.
type Unlock struct {
	Device, Name string
	Args         []string // cryptsetup's, further
	Plain        bool     // no LUKS: what is on it afterwards tells whether the key was right
	Header       KeyFile  // elsewhere, if it has a Path
	NoHeader     bool     // one is needed and not named
	Script       string   // program whose output is the key
	Env          []string // of that program
	ScriptArg    string
	Keys         []KeyFile
	KeyWait      int  // seconds for the devices that keys are on
	NoFail       bool // the boot goes on without
	NoAsk        bool
	Empty        bool // an empty passphrase is tried
	Tries        int  // 0: any number
	Timeout      int  // seconds for the passphrase, 0 for ever
	Notes        []string
}

// unlock says how b is opened.
func (m *luks) unlock(b *device.Block, t target) Unlock {
	u := Unlock{Device: "/dev/" + b.Name, Name: t.name, KeyWait: m.keyWait}
	mine := func(uuid string) bool { return uuid == "" || uuid == t.uuid }
	var opts []string
	if t.table != nil {
		opts = t.table.Options
	}
	for _, o := range m.options {
		if mine(o.uuid) {
			opts = append(opts[:len(opts):len(opts)], splitOptions(o.value)...)
		}
	}
	o := readOptions(opts)
	u.Args, u.Plain, u.NoFail, u.NoAsk, u.Empty, u.Tries, u.Timeout, u.Notes = o.Args, o.Plain, o.NoFail, o.NoAsk, o.Empty, o.Tries, o.Timeout, o.Unknown
	if o.Header != "" {
		u.Header = parseKey(o.Header)
	}
	u.NoHeader = o.Header == "" && t.apart && b.FS != "crypto_LUKS"
	if u.Timeout == 0 {
		u.Timeout = m.timeout
	}
	if o.KeyWait > 0 {
		u.KeyWait = o.KeyWait
	}
	for _, d := range m.discards {
		if (d == "" || strings.HasPrefix(t.uuid, d)) && !slices.Contains(u.Args, "--allow-discards") {
			u.Args = append(u.Args, "--allow-discards")
		}
	}
	for _, k := range m.keys {
		if !mine(k.uuid) {
			continue
		}
		// dracut's PATH:KEYDEV:LUKSDEV, the last of which names the device.
		path, rest, _ := strings.Cut(k.value, ":")
		dev, of, named := strings.Cut(rest, ":")
		if named && !strings.HasPrefix(t.uuid, digits(strings.TrimPrefix(strings.TrimPrefix(of, "UUID="), "luks-"))) && of != "/dev/"+b.Name {
			continue
		}
		u.Keys = append(u.Keys, KeyFile{Path: path, Device: dev, Offset: o.Offset, Size: o.Size})
	}
	switch {
	case t.table == nil:
	case o.Script != "":
		u.Script, u.ScriptArg, u.Env = o.Script, t.table.Key, scriptEnv(*t.table, u.Device)
	case t.table.Key != "":
		k := parseKey(t.table.Key)
		k.Offset, k.Size = o.Offset, o.Size
		u.Keys = append(u.Keys, k)
	}
	return u
}

// scriptEnv is what Debian's key scripts find in their environment.
func scriptEnv(e Entry, device string) []string {
	env := []string{"CRYPTTAB_NAME=" + e.Name, "CRYPTTAB_SOURCE=" + device, "CRYPTTAB_KEY=" + e.Key, "CRYPTTAB_OPTIONS=" + strings.Join(e.Options, ","),
		"_CRYPTTAB_NAME=" + e.Name, "_CRYPTTAB_SOURCE=" + e.Device, "_CRYPTTAB_KEY=" + e.Key, "_CRYPTTAB_OPTIONS=" + strings.Join(e.Options, ",")}
	for _, o := range e.Options {
		k, v, given := strings.Cut(o, "=")
		if !given {
			v = "yes"
		}
		env = append(env, "CRYPTTAB_OPTION_"+strings.ReplaceAll(k, "-", "_")+"="+v)
	}
	return env
}
