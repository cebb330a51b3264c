package feature

var vlan = Info{
	Name:     "vlan",
	Aliases:  []string{"8021q"},
	About:    "VLANs (802.1Q): vlan=",
	When:     Named,
	Needs:    []string{"network"},
	Required: []string{"8021q"},
	Config:   []string{"VLAN_8021Q"},
}
