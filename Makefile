# make build [ARCH=arm64]   the three programs, static, into bin/
# make install [PREFIX=/usr/local DESTDIR=]   make uninstall
ARCH ?= amd64
BIN ?= bin
PREFIX ?= /usr/local
DESTDIR ?=
# The build id is the source's hash, in a checkout or an unpacked archive.
SOURCES := '*.go' go.mod go.sum '*.sql' '*.html' '*.css' '*.js'
ID := $(shell { git ls-files -co --exclude-standard -- $(SOURCES) 2>/dev/null || find * -name '*.go' -o -name 'go.*' -o -name '*.sql' -o -name '*.html' -o -name '*.css' -o -name '*.js'; } | LC_ALL=C sort | xargs cat 2>/dev/null | sha256sum | cut -c1-16)
LDFLAGS := -s -w -X 'bareroot/internal/version.stamp=bareroot-build-id=$(ID);'
GOBUILD := CGO_ENABLED=0 GOARCH=$(ARCH) go build -trimpath -buildvcs=false -ldflags "$(LDFLAGS)"
# The agent speaks HTTP/1.1: HTTP/2 would be 0.4 MiB of it.
AGENT_TAGS := nethttpomithttp2
# Each boot unpacks init: only what is hot in it is inlined, and its hashes, which
# check a kernel for fips=1, are without assembler.
INIT_TAGS := purego
INIT_FLAGS := -gcflags=all=-l $(patsubst %,-gcflags=%/...=,runtime internal crypto github.com/klauspost/compress bareroot/internal/kmod)

.PHONY: build install uninstall clean
build:
	@mkdir -p $(BIN)
	$(GOBUILD) -o $(BIN)/ ./cmd/bareroot
	$(GOBUILD) -tags $(AGENT_TAGS) -o $(BIN)/ ./cmd/bareroot-agent
	$(GOBUILD) -tags $(INIT_TAGS) $(INIT_FLAGS) -o $(BIN)/ ./cmd/bareroot-init

# Built before, as the user who has Go; root only copies.
install:
	@test -x $(BIN)/bareroot || { echo 'run "make build" first'; exit 1; }
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/bareroot
	install -m 0755 $(BIN)/bareroot $(DESTDIR)$(PREFIX)/bin/
	install -m 0755 $(BIN)/bareroot-init $(BIN)/bareroot-agent packaging/push-new-kernel $(DESTDIR)$(PREFIX)/lib/bareroot/

uninstall:
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/bin/,bareroot)
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/lib/bareroot/,bareroot-init bareroot-agent push-new-kernel)
	-rmdir $(DESTDIR)$(PREFIX)/lib/bareroot

clean:
	rm -rf $(BIN)
