//go:build unix

package embedded

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

const stateFile = "server.json"

// state is what other processes need to know of a running server, besides the cluster's password.
type state struct {
	Port    int     `json:"port"`
	Version Version `json:"version"`
}

// writeState replaces the state file as a whole: others may be reading it.
func writeState(dir string, s state) error {
	content, err := json.Marshal(s)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, stateFile)
	if err := os.WriteFile(path+".new", append(content, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func readState(dir string) (s state, err error) {
	path := filepath.Join(dir, stateFile)
	content, err := os.ReadFile(path)
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(content, &s); err != nil {
		return s, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

// find returns the server that runs on a data folder. A file that is missing, or of a server that is gone, is no error.
func find(ctx context.Context, dir string) (s state, found bool, err error) {
	s, err = readState(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return s, false, nil
	}
	if err != nil {
		return s, false, err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn, err := s.connect(ctx, dir, name)
	if err != nil {
		return s, false, nil
	}
	return s, true, conn.Close(ctx)
}

// connect succeeds only with this cluster's server: each cluster has a password of its own. Whatever else may listen on
// the port does not learn it: the password is proved, never sent.
func (s state) connect(ctx context.Context, dir, database string) (*pgx.Conn, error) {
	password, err := readPassword(dir)
	if err != nil {
		return nil, err
	}
	config, err := pgx.ParseConfig(s.url(password, database))
	if err != nil {
		return nil, err
	}
	config.RequireAuth = "scram-sha-256"
	return pgx.ConnectConfig(ctx, config)
}

func (s state) url(password, database string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(name, password),
		Host:     fmt.Sprintf("127.0.0.1:%d", s.Port),
		Path:     "/" + database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

func readPassword(dir string) (string, error) {
	content, err := os.ReadFile(filepath.Join(dir, passwordFile))
	return strings.TrimSpace(string(content)), err
}
