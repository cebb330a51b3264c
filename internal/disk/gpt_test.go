package disk

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/siderolabs/go-blockdevice/v2/partitioning/gpt"
)

// gptImage makes an image with a GPT of three partitions by another
// implementation than ours, and data in each partition.
func gptImage(t testing.TB, size int64, sector uint) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	dev, err := gpt.DeviceFromFile(f, gpt.WithFileSectorSize(sector))
	if err != nil {
		t.Fatal(err)
	}
	id := func(n byte) uuid.UUID { return uuid.UUID{15: n, 0: 7} }
	table, err := gpt.New(dev, gpt.WithDiskGUID(id(1)))
	if err != nil {
		t.Fatal(err)
	}
	for i, n := range []uint64{1 << 20, 1 << 20, 1 << 20} {
		_, p, err := table.AllocatePartition(n, []string{"bios", "efi", "root"}[i], id(byte(10+i)), gpt.WithUniqueGUID(id(byte(20+i))))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt(bytes.Repeat([]byte{byte(i + 1)}, 5000), int64(p.FirstLBA)*int64(sector)); err != nil {
			t.Fatal(err)
		}
	}
	if err := table.Write(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// checkDeployed reads the disk with the other implementation and compares
// the contents.
func checkDeployed(t *testing.T, path string, image []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	st, _ := f.Stat()
	got := make([]byte, st.Size())
	if _, err := f.ReadAt(got, 0); err != nil {
		t.Fatal(err)
	}
	end := len(image) - 33*512 // the image's own backup table may be overwritten
	if !bytes.Equal(got[HeadSize:end], image[HeadSize:end]) {
		t.Error("the partitions are not the image's")
	}
	if !bytes.Equal(got[1024:HeadSize], image[1024:HeadSize]) {
		t.Error("boot code or entries are not the image's")
	}
	want, err := ParseGPT(image[:HeadSize])
	if err != nil {
		t.Fatal(err)
	}
	primary, err := ParseGPT(got[:HeadSize])
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.Parts, primary.Parts); diff != "" {
		t.Errorf("partitions (-image +disk):\n%s", diff)
	}
	last := st.Size()/512 - 1
	if primary.Alternate != last || primary.Last != last-33 {
		t.Errorf("backup at %d, last usable %d; disk ends at %d", primary.Alternate, primary.Last, last)
	}
	mbr := ParseMBR(got)
	if mbr == nil || !mbr.Protective() || mbr.Entries[0].Count != last {
		t.Errorf("protective MBR: %+v", mbr)
	}
	read := func() []string {
		dev, err := gpt.DeviceFromFile(f)
		if err != nil {
			t.Fatal(err)
		}
		table, err := gpt.Read(dev)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, p := range table.Partitions() {
			if p != nil {
				names = append(names, p.Name)
			}
		}
		return names
	}
	if diff := cmp.Diff([]string{"bios", "efi", "root"}, read()); diff != "" {
		t.Error(diff)
	}
	// The backup must do alone.
	if _, err := f.WriteAt(make([]byte, 512), 512); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"bios", "efi", "root"}, read()); diff != "" {
		t.Errorf("from the backup: %s", diff)
	}
}

func TestDeployMovesBackup(t *testing.T) {
	for name, size := range map[string]int64{"same size": 6 << 20, "one sector more": 6<<20 + 512, "larger": 40 << 20} {
		t.Run(name, func(t *testing.T) {
			image := gptImage(t, 6<<20, 512)
			path := makeDisk(t, size, 0xee)
			if err := deploy(path, image, int64(len(image)), nil, nil); err != nil {
				t.Fatal(err)
			}
			checkDeployed(t, path, image)
		})
	}
}

func TestParseMBR(t *testing.T) {
	table := make([]byte, 512)
	table[510], table[511] = 0x55, 0xaa
	copy(table[446:], []byte{0x80, 0, 0, 0, 0x83, 0, 0, 0, 0, 8, 0, 0, 0, 0, 1, 0})
	fat := bytes.Repeat([]byte{0x41}, 512)
	fat[510], fat[511] = 0x55, 0xaa
	for name, tc := range map[string]struct {
		in   []byte
		want *MBR
	}{
		"linux":           {table, &MBR{Entries: []MBREntry{{Number: 1, Type: 0x83, Start: 2048, Count: 65536}}}},
		"zeros":           {make([]byte, 512), nil},
		"FAT boot sector": {fat, nil},
		"short":           {table[:100], nil},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, ParseMBR(tc.in)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func FuzzParseGPT(f *testing.F) {
	im := gptImage(f, 6<<20, 512)
	f.Add(im[:64<<10], int64(10<<20))
	f.Add(gptImage(f, 6<<20, 4096)[:64<<10], int64(6<<20))
	f.Add([]byte{}, int64(0))
	f.Fuzz(func(t *testing.T, b []byte, size int64) {
		g, err := ParseGPT(b)
		if err != nil || g == nil {
			return
		}
		head, tail, off, err := g.Move(b, size)
		if err != nil {
			return
		}
		if off < 0 || off+int64(len(tail)) > size {
			t.Fatalf("backup of %d bytes at %d of a disk of %d", len(tail), off, size)
		}
		moved, err := ParseGPT(head)
		if err != nil || moved == nil {
			t.Fatalf("moved table: %v", err)
		}
		if diff := cmp.Diff(g.Parts, moved.Parts); diff != "" {
			t.Fatal(diff)
		}
	})
}

func FuzzParseMBR(f *testing.F) {
	f.Add(make([]byte, 512))
	f.Fuzz(func(t *testing.T, b []byte) {
		if m := ParseMBR(b); m != nil && m.End() < 0 {
			t.Fatal("negative end")
		}
		b2 := bytes.Clone(b)
		fitProtective(b2, 1<<40)
		ParseMark(b)
	})
}
