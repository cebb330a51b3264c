package build

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"bareroot/internal/build/cache"
	"bareroot/internal/build/feature"
	"bareroot/internal/cpio"
	"bareroot/internal/rdconf"
)

// addAgent adds bareroot-agent where a role or a feature needs it: compressed by
// itself because a boot that does not need it shall not pay for
// unpacking it. Init unpacks it to rdconf.AgentPath.
func (r *recipe) addAgent(ctx context.Context, o *Options) error {
	if !o.needsAgent() && !r.has(func(f feature.Info) bool { return f.Agent }) {
		return nil
	}
	it := item{Path: rdconf.AgentPath[1:], Mode: cpio.TypeRegular | 0o755, From: o.Agent, Why: "speaks to servers, carries out orders"}
	var arch string
	var err error
	if r.inside.name != "none" {
		it.Path, it.Mode = rdconf.AgentPacked[1:], cpio.TypeRegular|0o644
		arch, it.Data, err = r.packedAgent(ctx, o)
	} else {
		arch, it.Data, err = o.readAgent()
	}
	if err != nil {
		return err
	}
	if arch != r.arch {
		return inputError{fmt.Errorf("bareroot-agent %s is for %s, bareroot-init %s for %s", o.Agent, arch, o.Init, r.arch)}
	}
	r.agent = withParents([]item{it})
	return nil
}

func (o *Options) readAgent() (arch string, data []byte, err error) {
	p, err := o.ownProgram("agent", o.Agent, "--agent")
	if err != nil {
		return "", nil, err
	}
	return p.Arch, p.Data, nil
}

// packedAgent gives the agent compressed as a module is, whatever the kernel
// unpacks: this is for init. While the file is the same it need not be read.
func (r *recipe) packedAgent(ctx context.Context, o *Options) (arch string, data []byte, err error) {
	key, known := o.agentKey(r.inside)
	if b, ok := o.Cache.Get(key); ok && known {
		if arch, data, ok := bytes.Cut(b, []byte{'\n'}); ok {
			return string(arch), data, nil
		}
	}
	arch, data, err = o.readAgent()
	if err != nil {
		return "", nil, err
	}
	m, err := newModuleCompressor(r.inside)
	if err != nil {
		return "", nil, err
	}
	defer m.close()
	if data, err = m.compress(ctx, data, nil); err != nil {
		return "", nil, fmt.Errorf("compress bareroot-agent: %w", err)
	}
	if known {
		o.Cache.Put(key, slices.Concat([]byte(arch+"\n"), data))
	}
	return arch, data, nil
}

// agentKey names the agent's file as it is now, if that can be told, found to be
// of this build and compressed.
func (o *Options) agentKey(c codec) (key cache.Key, known bool) {
	fi, err := os.Stat(o.Agent)
	if err != nil {
		return key, false
	}
	name, err := filepath.Abs(o.Agent)
	now := state(fi, time.Now())
	return cache.Key{
		Kind: "agent", Content: sha256.Sum256([]byte(name + "\n" + now)), Params: unitVersion + " " + c.params() + " " + o.BuildID,
	}, err == nil && now != ""
}
