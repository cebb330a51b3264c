package build

import (
	"context"
	"fmt"
	"os"

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
	agent, err := o.ownProgram("agent", o.Agent, "--agent")
	if err != nil {
		return err
	}
	if agent.Arch != r.arch {
		return inputError{fmt.Errorf("bareroot-agent %s is for %s, bareroot-init %s for %s", o.Agent, agent.Arch, o.Init, r.arch)}
	}
	it := item{Path: rdconf.AgentPath[1:], Mode: cpio.TypeRegular | 0o755, Data: agent.Data, Size: agent.Size, From: o.Agent, Why: "speaks to servers, carries out orders"}
	if r.inside.name != "none" {
		it.Path, it.Mode = rdconf.AgentPacked[1:], cpio.TypeRegular|0o644
		if it.Data, err = r.packAgent(ctx, o, agent.Data); err != nil {
			return fmt.Errorf("compress bareroot-agent: %w", err)
		}
	}
	r.agent = withParents([]item{it})
	return nil
}

// packAgent compresses the agent as a module, whatever the kernel unpacks: this is
// for init. While its file is the same it need not be read.
func (r *recipe) packAgent(ctx context.Context, o *Options, data []byte) ([]byte, error) {
	key, _, known := fileKey("agent", o.Agent, r.inside.params())
	if known {
		if b, ok := o.Cache.Get(key); ok {
			return b, nil
		}
	}
	var err error
	if data == nil {
		if data, err = os.ReadFile(o.Agent); err != nil {
			return nil, err
		}
	}
	m, err := newModuleCompressor(r.inside)
	if err != nil {
		return nil, err
	}
	defer m.close()
	b, err := m.compress(ctx, data, nil)
	if err == nil && known {
		o.Cache.Put(key, b)
	}
	return b, err
}
