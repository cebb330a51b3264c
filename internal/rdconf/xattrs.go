package rdconf

// XattrsPath is where a ramdisk lists the extended attributes of its files,
// capabilities among them, as Xattrs: the kernel's archive format has no place
// for them, so init sets them.
const XattrsPath = "/usr/lib/bareroot/xattrs.json"

// Xattrs are the attributes by a file's path, without leading slash, and name.
type Xattrs map[string]map[string][]byte
