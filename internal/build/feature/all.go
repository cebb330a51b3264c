package feature

import (
	"slices"
	"strings"
)

// All lists the features: the one visible place.
func All() []Info {
	return []Info{
		base,
		kernelModules,
		network,
		url,
		nfs,
		nbd,
		iscsi,
		livenet,
		dmsquashLive,
		overlayfs,
		dm,
		lvm,
		mdraid,
		crypt,
		multipath,
		dmraid,
		tpm2,
		fsck,
		bond,
		bridge,
		vlan,
		team,
		shell,
		sshd,
		sshLogin,
		sshClient,
		debug,
		terminfo,
		keymap,
		microcode,
		watchdog,
		fips,
		compat32,
		resume,
		nvmf,
		cifs,
		roleRoot,
		roleDiscover,
		roleDeploy,
		roleRescue,
	}
}

// Find returns the feature with a name or an alias.
func Find(name string) (Info, bool) {
	for _, f := range All() {
		if f.Name == name || slices.Contains(f.Aliases, name) {
			return f, true
		}
	}
	return Info{}, false
}

// Names lists all features' names, for messages.
func Names() string {
	var out []string
	for _, f := range All() {
		out = append(out, f.Name)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}
