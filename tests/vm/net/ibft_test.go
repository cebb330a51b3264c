package net

import (
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bareroot/tests/vm/vmtest"
)

// ibftTable is an iSCSI boot firmware table (Microsoft's "iSCSI Boot Firmware
// Table", 1.02, as the kernel's drivers/firmware/iscsi_ibft.c reads it) with one
// NIC in a VLAN and one target.
func ibftTable(mac net.HardwareAddr, ip, gateway, dns string, vlan uint16) []byte {
	le := binary.LittleEndian
	address := func(a string) []byte {
		b := netip.MustParseAddr(a).As16()
		return b[:]
	}
	part := func(id byte, length int, body ...[]byte) []byte {
		b := []byte{id, 1, byte(length), byte(length >> 8), 0, 3} // index 0; valid, booted from
		for _, p := range body {
			b = append(b, p...)
		}
		return append(b, make([]byte, length-len(b))...)
	}
	const control, initiator, nic, target, strs = 48, 72, 152, 256, 312
	const name, tgt = "iqn.2026-11.example:client", "iqn.2026-11.example:disk"
	str := func(length, offset int) []byte {
		return le.AppendUint16(le.AppendUint16(nil, uint16(length)), uint16(offset))
	}
	b := make([]byte, strs)
	put := func(at int, p []byte) { copy(b[at:], p) }
	put(0, []byte("iBFT\x00\x00\x00\x00\x01\x00TESTS BAREROOT"))
	put(control, part(1, 18, str(0, initiator), str(nic, target)))
	put(initiator, part(2, 74, make([]byte, 64), str(len(name), strs)))
	put(nic, part(3, 102, address(ip), []byte{24, 1}, address(gateway), address(dns), make([]byte, 16), make([]byte, 16), le.AppendUint16(nil, vlan), mac))
	put(target, part(4, 54, address(gateway), le.AppendUint16(nil, 3260), make([]byte, 8), []byte{0, 0}, str(len(tgt), strs+len(name)+1)))
	b = append(append(b, name+"\x00"...), tgt+"\x00"...)
	le.PutUint32(b[4:], uint32(len(b)))
	var s byte
	for _, v := range b {
		s += v
	}
	b[9] = -s
	return b
}

// TestIBFT: the firmware's table, as the kernel shows it, says which NIC, which
// VLAN and which address.
func TestIBFT(t *testing.T) {
	vmtest.AllOnly(t)
	s := machine(t, 2, "rd.iscsi.ibft", show)
	s.NICs[1].MAC = "52:54:00:aa:00:02"
	mac, err := net.ParseMAC(s.NICs[1].MAC)
	if err != nil {
		t.Fatal(err)
	}
	table := filepath.Join(t.TempDir(), "ibft.bin")
	if err := os.WriteFile(table, ibftTable(mac, "10.78.0.9", "10.78.0.1", "10.78.0.3", 5), 0o644); err != nil {
		t.Fatal(err)
	}
	s.Args = append(s.Args, "-acpitable", "file="+table)
	v := vmtest.New(t, s)
	lanAddress(t, tagged(t, v, "vl5", 5), "10.78.0.1/24")
	v.PowerOn()
	v.Expect(`the firmware's iSCSI boot says: ifname=ibft0:52:54:00:aa:00:02 vlan=ibft0\.5:ibft0 ip=10\.78\.0\.9::10\.78\.0\.1:`, boot)
	v.Expect(`inet 10\.78\.0\.9/24 .* ibft0\.5`, boot)
	v.Expect(`nameserver 10\.78\.0\.3|IPV4DNS0='10\.78\.0\.3'`, time.Minute)
	v.WaitPowerOff(time.Minute)
	if strings.Contains(v.Text(), "already used") {
		t.Error("its own address was taken for another's")
	}
}
