package feature

var iscsi = Info{
	Name:    "iscsi",
	Aliases: []string{"open-iscsi"},
	About:   "the iSCSI initiator. init does not log in to a target yet",
	When:    Named,
	Needs:   []string{"network"},
	Binaries: []Binary{
		{Name: "iscsid", Package: "open-iscsi"},
		{Name: "iscsiadm", Package: "open-iscsi"},
		{Name: "iscsistart", Package: "open-iscsi", Optional: true},
		{Name: "iscsi-iname", Package: "open-iscsi", Optional: true},
	},
	Modules:  []string{"iscsi_ibft", "crc32c_generic", "be2iscsi", "bnx2i", "qla4xxx"},
	Required: []string{"iscsi_tcp"},
	Files: []File{
		{Path: "etc/iscsi/iscsid.conf", Optional: true},
		{Path: "etc/iscsi/initiatorname.iscsi", Optional: true},
	},
	Config: []string{"ISCSI_TCP"},
}
