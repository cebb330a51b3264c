package admin

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// minToken is the shortest token accepted from a file that an operator wrote.
const minToken = 20

// loadToken reads the bearer token, or makes the file with a new one. A crash
// leaves either no file or a whole one.
func loadToken(path string) (string, error) {
	if path == "" {
		return "", errors.New("admin door: no token file given")
	}
	token, err := readToken(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return token, err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".admin-token-*") // 0600
	if err != nil {
		return "", fmt.Errorf("make admin token: %w", err)
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.WriteString(rand.Text() + rand.Text() + "\n")
	if err == nil {
		err = tmp.Sync()
	}
	if err = errors.Join(err, tmp.Close()); err != nil {
		return "", fmt.Errorf("make admin token: %w", err)
	}
	// A link, not a rename: who made the file first wins.
	if err := os.Link(tmp.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("make admin token: %w", err)
	}
	return readToken(path)
}

func readToken(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("read admin token: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("read admin token: others may read %s (mode %04o); run chmod 600 on it", path, info.Mode().Perm())
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read admin token: %w", err)
	}
	token := strings.TrimSpace(string(b))
	if len(token) < minToken || strings.ContainsAny(token, " \t\r\n") {
		return "", fmt.Errorf("read admin token: %s holds no token of at least %d characters on one line; remove the file to get a new one", path, minToken)
	}
	return token, nil
}
