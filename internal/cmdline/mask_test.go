package cmdline

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestMasked(t *testing.T) {
	for in, want := range map[string]string{
		"cifspass=geheim cifsuser=u":                        "cifspass=*** cifsuser=u",
		"rd.iscsi.password=geheim rd.iscsi.in.password=x":   "rd.iscsi.password=*** rd.iscsi.in.password=***",
		"iscsi_password=geheim":                             "iscsi_password=***",
		"root=cifs://u:geheim@srv/share":                    "root=cifs://u:***@srv/share",
		"root=live:http://u:ge:heim@h/x":                    "root=live:http://u:***@h/x",
		"root=live:http://u:ge@heim@h/x@y":                  "root=live:http://u:***@h/x@y",
		"netroot=iscsi:u:geheim@h::::iqn.a:t":               "netroot=iscsi:u:***@h::::iqn.a:t",
		"netroot=iscsi:u:geheim:iu:auch@h::::iqn.a:t":       "netroot=iscsi:u:***:iu:***@h::::iqn.a:t",
		"netroot=iscsi:a:b:c:d:e@h::::iqn.a:t":              "netroot=iscsi:a:***:***:***:***@h::::iqn.a:t",
		"root=iscsi:@h::3260::iqn.e:testdi@sk":              "root=iscsi:@h::3260::iqn.e:testdi@sk",
		"root=iscsi:h::3260::iqn.e:x":                       "root=iscsi:h::3260::iqn.e:x",
		"rootflags=username=u,password=geheim,vers=3":       "rootflags=username=u,password=***,vers=3",
		"metal.server=http://h/b?X-Amz-Signature=abc&x=1":   "metal.server=http://h/b?X-Amz-Signature=***&x=1",
		"proxy=http://u:geheim@proxy:3128":                  "proxy=http://u:***@proxy:3128",
		"fdi.rootpw=geheim ipa-agent-token=geheim":          "fdi.rootpw=*** ipa-agent-token=***",
		"deployment_key=geheim my.app_secret=geheim":        "deployment_key=*** my.app_secret=***",
		"password= rd.luks.key=/keys/a:UUID=1 http://h:1/x": "password= rd.luks.key=/keys/a:UUID=1 http://h:1/x",
		"ip=192.0.2.5::192.0.2.1:24:h:eth0:none quiet":      "ip=192.0.2.5::192.0.2.1:24:h:eth0:none quiet",
		`cifspass="ge heim"`:                                "cifspass=***",
		"cifspass":                                          "cifspass",
	} {
		if got := Parse(in, "t").Masked(); got != want {
			t.Errorf("%s\n got %s\nwant %s", in, got, want)
		}
	}
}

// No message about a line quotes its passwords.
func TestMessagesAreMasked(t *testing.T) {
	const secret = "geheim"
	for _, in := range []string{
		"root=cifs://u:geheim@srv", "root=iscsi:u:geheim@h", "root=foo://u:geheim@h/x", "root=live:gopher://u:geheim@h/x", "netroot=iscsi:u:geheim@h", "root=LABEL=x netroot=cifs://u:geheim@h",
		"root=nfs:/srv netroot=cifs://u:geheim@h/s", "root=LABEL=x nfsroot=/srv root=http://u:geheim@h/x", "rootfallback=cifs://u:geheim@h/s", "metal.server=x?token=geheim",
	} {
		l := Parse(in, "t")
		r, err := ParseRoots(l)
		said := strings.Join(append(append(Check(l), NotYet(l)...), r.Notices...), "; ")
		if err != nil {
			said += err.Error()
		}
		if said == "" || strings.Contains(said, secret) {
			t.Errorf("%s: %s", in, said)
		}
	}
	_, notices := Merge([]string{"root"}, Source{Text: "root=LABEL=x"}, Source{Name: "p", Text: "root=http://u:geheim@h/x"})
	if len(notices) != 1 || strings.Contains(notices[0], secret) {
		t.Errorf("%q", notices)
	}
}

func TestLoginsAreMasked(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pass := "Q" + rapid.StringMatching(`[A-Z0-9!.,;_-]{3,10}`).Draw(t, "pass") + "Q"
		form := rapid.SampledFrom([]string{"root=http://u:%@h/x", "netroot=iscsi:u:%@h::::iqn.a:t", "root=cifs://u:%@h/s", "cifspass=%", "x=live:https://u:%@h:8/p?q=1"}).Draw(t, "form")
		if got := Parse(strings.ReplaceAll(form, "%", pass), "t").Masked(); strings.Contains(got, pass) {
			t.Fatal(got)
		}
	})
}
