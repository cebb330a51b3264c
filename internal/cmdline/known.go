package cmdline

// Code generated from package words by "go test ./internal/cmdline -update"; DO NOT EDIT.

// known has one Rule a line.
const known = `ro	f
rw	f
init	p		/sbin/init, /etc/init, /bin/init, /bin/sh
rootdelay	n
rd.fstab	b		1
rd.skipfsck	b		0
fastboot	f
forcefsck	f
fsck.mode	c	auto,force,skip	auto
fsck.repair	c	preen,yes,no	preen
resume_offset	n
noresume,nohibernate	f
real_init	p
rd.distroinit	p
rd.usrmount.ro	b		0
systemd.volatile	c	no,yes,state,overlay,0,1,off,on,false,true	no
roothash,usrhash	o
bareroot.live.sha256	h
bareroot.live.size	n
bareroot.live.insecure	b		0
rd.live.dir;live_dir	p		LiveOS
rd.minmem	n		256
rd.live.image;liveimg	f			-
rd.live.ram;live_ram	b		0	-
rd.live.check;check	f			-
rd.live.overlay;overlay	o			-
rd.live.overlay.overlayfs	b		0	-
rd.live.overlay.reset;reset_overlay	b		0	-
rd.live.overlay.readonly;readonly_overlay	b		0	-
rd.live.overlay.size;overlay_size	n		32768	-
rd.live.overlay.thin	b		0	-
rd.live.overlay.nouserconfirmprompt	b		0	-
rd.live.overlay.cowfs	c	ext4,btrfs,xfs	ext4	-
rd.overlay	o			-
rd.overlay.reset	b		0	-
rd.overlay.readonly	b		0	-
rd.overlay.crypt	o			-
rd.writable.fsimg;writable_fsimg	b		0	-
rd.live.debug;rdlivedebug	b		0
iso-scan/filename	p			-
live.updates	u			-
proxy	u			-
rd.noverifyssl	f			-
rd.auto	b		0
rd.lvm	b		1
rd.lvm.vg;rd_LVM_VG	t
rd.lvm.lv;rd_LVM_LV	o
rd.lvm.conf	b		1
rd.md	b		1
rd.md.uuid;rd_MD_UUID	t
rd.md.imsm	b		1
rd.md.ddf	b		1
rd.md.conf	b		1
rd.md.waitclean	b		0
rd.dm	b		1
rd.dm.uuid;rd_DM_UUID	t
rd.luks,luks	b		1
rd.luks.uuid,luks.uuid;rd_LUKS_UUID	t
rd.luks.partuuid;rd_LUKS_PARTUUID	t
rd.luks.serial;rd_LUKS_SERIAL	t
rd.luks.name,luks.name	o
rd.luks.data,luks.data	o
rd.luks.key,luks.key	o
rd.luks.options,luks.options	t
rd.luks.crypttab,luks.crypttab	b		1
rd.luks.key.tout	n		10
rd.luks.timeout	n		0
rd.luks.smartcard	b		1
rd.fcoe	b		1	-
fcoe	o			-
rd.nonvmf	f			-
rd.nvmf.hostnqn;nvmf.hostnqn	t			-
rd.nvmf.hostid;nvmf.hostid	t			-
rd.nvmf.discover;nvmf.discover	o			-
rd.nvmf.nonbft	f			-
rd.nvmf.nostatic	f			-
rd.zfcp.conf	b		1
bareroot.ip	c	dracut,kernel,klibc	dracut
rd.bootif	b		1
rd.neednet	b		0
gateway	a
mtu	n	0..65536
nameserver	a
rd.peerdns	b		1
biosdevname	b		0
net.ifnames	b		1
rd.net.timeout.carrier	n		10
rd.net.timeout.iflink	n		60
rd.net.timeout.ifup	n		20
rd.net.timeout.route	n		20
rd.net.timeout.ipv6dad	n		50
rd.net.timeout.ipv6auto	n		40
rd.net.timeout.dhcp	n		20
rd.net.dhcp.retry	n	1..1000000000	1
netroot	o			-
nfsroot	o			-
nfsrootdebug	f
rd.nfs.domain;rd_NFS_DOMAIN	t			-
cifsuser	t			-
cifspass	t			-
rd.iscsi.initiator;iscsi_initiator	t			-
rd.iscsi.username;iscsi_username	t			-
rd.iscsi.password;iscsi_password	t			-
rd.iscsi.in.username;iscsi_in_username	t			-
rd.iscsi.in.password;iscsi_in_password	t			-
rd.iscsi.firmware;iscsi_firmware	b		0	-
rd.iscsi.ibft	b		0
rd.iscsi.mp	b		0
rd.iscsi.target.name;iscsi_target_name	t
rd.iscsi.target.ip;iscsi_target_ip	t
rd.iscsi.target.port;iscsi_target_port	t
rd.iscsi.target.group;iscsi_target_group	n		1	-
rd.iscsi.param;iscsi_param	o			-
rd.iscsi.login_retry_max	n		3	-
rd.iscsi.testroute	b		1	-
rd.iscsi.waitnet	b		1	-
rd.iscsi.transport	t			-
rd.driver.pre;rdloaddriver	l
modules_load,rd.modules_load,modules-load,rd.modules-load	l
rd.driver.blacklist,modprobe.blacklist,module_blacklist,blacklist;rdblacklist	l
rd.driver.post;rdinsmodpost	l
rd.driver.export;copymods	c	0,1,force	0
break	l	top,modules,premount,mount,mountroot,bottom,init
rd.rescue	f
rd.systemd.debug_shell,rd.systemd.debug-shell	t
rd.break	c	cmdline,pre-udev,pre-trigger,initqueue,pre-mount,mount,pre-pivot,cleanup,pre-shutdown,shutdown
rd.shell;rdshell	b		1
rd.emergency	c	reboot,poweroff,halt	reboot
bareroot.emergency.delay	n		60
rd.debug;rdinitdebug,rdnetdebug	b		0
quiet	f
rd.info;rdinfo	b		0
rd.retry;rd_retry	n		180
rd.hostonly	b		1
fips	c	0,1	0
rd.fips.skipkernel	b		0
rd.cmdline	c	ask
rd.shutdown.timeout.umount	n		90
rd.memdebug	n	0..5	0
rd.udev.log_level;rd.udev.log_priority,rd.udev.log-priority	t
rd.udev.info;rdudevinfo	b
rd.udev.debug;rdudevdebug	b
rd.plymouth,plymouth.enable	b		1
rd.vconsole.keymap,vconsole.keymap,KEYMAP;KEYTABLE	t		KEYMAP of /etc/vconsole.conf
rd.vconsole.keymap.ext,vconsole.keymap.ext,vconsole.keymap_toggle,EXT_KEYMAP	t		EXT_KEYMAP of /etc/vconsole.conf
rd.vconsole.font,vconsole.font,FONT;SYSFONT	t		FONT of /etc/vconsole.conf
rd.vconsole.font.map,vconsole.font.map,vconsole.font_map,FONT_MAP;CONTRANS	t
rd.vconsole.font.unimap,vconsole.font.unimap,vconsole.font_unimap,FONT_UNIMAP;UNIMAP	t
rd.vconsole.unicode,vconsole.unicode,rd.vconsole.font.unicode,UNICODE	t		1
drop_capabilities,rd.caps.initdrop	l
rd.caps	b		0
rd.caps.disablemodules	b		0
rd.caps.disablekexec	b		0
bareroot.role	c	root,discover,deploy,rescue	the ramdisk's configuration, else root
rd.ssh	b		1 if the configuration has keys, else 0
bareroot.watchdog	n		0
bareroot.modules	c	warn,refuse,ignore	warn
bareroot.degraded	n	0..86400	two thirds of rd.retry
metal.server	u			-
metal.no-wipe;METAL_NOWIPE,metal_nowipe	b		0	-
metal.wipe-delay	n	2..60	5	-
metal.disks	n	1..10	2	-
metal.md-level	t		mirror	-
metal.min-disk-size	n	0..1000000000	16	-
metal.sqfs-md-size	n	25..100	25	-
metal.oval-md-size	n	25..200	150	-
metal.aux-md-size	n	0..200	150	-
metal.ipv4;METAL_IPV4,metal_ipv4	b		0	-
metal.debug;METAL_DEBUG,metal_debug	b		0	-
ipa-api-url	t			-
ipa-inspection-callback-url	t			-
ipa-inspection-collectors	l		default,logs	-
ipa-inspection-benchmarks	l			-
ipa-inspection-dhcp-wait-timeout	n		60	-
ipa-inspection-dhcp-all-interfaces	t		false	-
ipa-agent-token	t			-
ipa-debug	t			-
ipa-insecure	t		false	-
ipa-global-request-id	t			-
ipa-listen-host	t		::	-
ipa-listen-port	n	1..65535	9999	-
ipa-advertise-host	t			-
ipa-advertise-port	n	1..65535	9999	-
ipa-advertise-protocol	c	http,https	http	-
ipa-ip-lookup-attempts	n		6	-
ipa-ip-lookup-timeout	n		10	-
ipa-network-interface	t			-
ipa-lookup-timeout	n		600	-
ipa-lookup-interval	n		1	-
ipa-http-request-timeout	n		30	-
ipa-hardware-initialization-delay	n		0	-
ipa-disk-wait-attempts	n		10	-
ipa-disk-wait-delay	n		3	-
ipa-image-download-connection-timeout	n		60	-
ipa-image-download-connection-retries	n		9	-
ipa-image-download-connection-retry-interval	n		10	-
ipa-image-download-max-duration	n		0	-
ipa-ntp-server	t			-
ipa-collect-lldp	t		false	-
ipa-lldp-timeout	n		30	-
ipa-enable-vlan-interfaces	l			-
ipa-ignore-bootloader-failure	t			-
ipa-inject-files-priority	n	0..99	0	-
ipa-guard-special-filesystems	t		true	-
ipa-ironic-api-version	t			-
ipa-tls-min-version	c	1.2,1.3	1.2	-
ipa-tls-cipher-suites	t			-
ipa-tls-certificate-curve	c	p256,p384,p521	p384	-
ipa-use-mdns	t		false	-
deployment_id	t			-
deployment_key	t			-
iscsi_target_iqn	t			-
disk	l		cciss/c0d0,sda,hda,vda	-
ironic_api_url	u			-
boot_option	c	netboot,local		-
boot_mode	c	bios,uefi		-
root_device	o			-
troubleshoot	b		0	-
boot_server	t			-
boot_method	c	vmedia		-
proxy.url,foreman.url	u			-
proxy.type	c	foreman,proxy	foreman	-
fdi.countdown	n		45	-
fdi.uploadsleep	n		900	-
fdi.cachefacts	n		0	-
fdi.initnet	c	bootif,all	bootif	-
fdi.dhcp_timeout	n		300	-
fdi.dhcp_sendhost	t		false	-
fdi.ipv4.method	t		auto	-
fdi.ipv6.method	t		auto	-
fdi.vlan.primary	n	1..4094		-
fdi.ipwait	n		120	-
fdi.nmwait	n		120	-
fdi.proxy_cert_days	n		999	-
fdi.dns_nameserver	t			-
fdi.dns_search	t			-
fdi.dns_ndots	n			-
fdi.ssh	b		0	-
fdi.rootpw	t			-
fdi.zips	l			-
fdi.zipserver	t			-
fdi.script	t			-
fdi.pxmac	o			-
fdi.pxip	t			-
fdi.pxgw	a			-
fdi.pxdns	t			-
fdi.pxauto	b		0	-
fdi.nopromis	b		0	-
rd_NO_LVM	f				rd.lvm=0
rd_NO_MD	f				rd.md=0
rd_NO_MDIMSM,noiswmd	f				rd.md.imsm=0
rd_NO_MDADMCONF	f				rd.md.conf=0
rd_NO_DM,nodmraid	f				rd.dm=0
rd_NO_LUKS	f				rd.luks=0
rd_NO_CRYPTTAB	f				rd.luks.crypttab=0
rd_NO_MULTIPATH	f				rd.multipath=0
rd_NO_FSTAB	f				rd.fstab=0
rd_NO_PLYMOUTH	f				rd.plymouth=0
rd_NO_LVMCONF	f				rd.lvm.conf=0
rd_NO_MDDDF,noddfmd	f				rd.md.ddf=0
rd.nofcoe	f				rd.fcoe=0
rdbreak	t				rd.break
--	f
masterkey	p
rd.convertfs	b
`
