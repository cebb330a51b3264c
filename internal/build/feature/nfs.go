package feature

var nfs = Info{
	Name:    "nfs",
	Aliases: []string{"nfs-root"},
	About:   "the NFS client's modules and mount programs. init does not mount an NFS root yet",
	When:    Named,
	Needs:   []string{"network"},
	Binaries: []Binary{
		{Name: "mount.nfs", Package: "nfs-common", Optional: true},
		{Name: "mount.nfs4", Package: "nfs-common", Optional: true},
		{Name: "rpc.statd", Package: "nfs-common", Optional: true},
		{Name: "rpcbind", Package: "rpcbind", Optional: true},
	},
	Modules:  []string{"=fs/nfs", "=fs/nfs_common", "=fs/lockd", "=net/sunrpc"},
	Required: []string{"nfs"},
	Files: []File{
		{Path: "etc/netconfig", Optional: true},
		{Path: "etc/nfsmount.conf", Optional: true},
		{Path: "etc/idmapd.conf", Optional: true},
	},
	Config: []string{"NFS_FS"},
}
