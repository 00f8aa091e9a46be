package dbtest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"

	"github.com/jackc/pgx/v5"

	"github.com/flightbill/flightbill/db/embedded"
)

const (
	versionEnv = "FLIGHTBILL_TEST_POSTGRES"
	serverEnv  = "FLIGHTBILL_TEST_DATABASE_URL"
)

// server is where a binary's databases are.
type server interface {
	// URL returns the connection string of a database that is always there.
	URL() string
	// Database returns the connection string of another one; it need not exist.
	Database(name string) string
	// Stop leaves nothing behind.
	Stop() error
}

// newName returns a name that no other test binary has, for what this one makes on a server.
func newName() string { return fmt.Sprintf("flightbill_test_%016x", rand.Uint64()) } //nolint:gosec // unique, not secret

// startServer starts a server, or connects to the one that is named, for the binary of that name.
func startServer(name string) (server, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	address, major := os.Getenv(serverEnv), os.Getenv(versionEnv)
	switch {
	case address != "" && major != "":
		return nil, fmt.Errorf("%s and %s are both set: the server that the one names is of the version that it is; unset one", serverEnv, versionEnv)
	case address != "":
		return useServer(ctx, address, name)
	}
	version, err := version(major)
	if err != nil {
		return nil, err
	}
	parameters := map[string]string{"max_prepared_transactions": "10"} // applications may commit in two phases
	return embedded.Start(ctx, embedded.Config{Ephemeral: true, Version: version, Parameters: parameters})
}

func version(major string) (embedded.Version, error) {
	switch major {
	case "", "18":
		return embedded.V18, nil
	case "17":
		return embedded.V17, nil
	case "16":
		return embedded.V16, nil
	case "15":
		return embedded.V15, nil
	}
	return "", fmt.Errorf("%s is %q, not one of 15, 16, 17, 18", versionEnv, major)
}

// namedServer is one that runs without this binary, and that others may use at the same time.
type namedServer struct {
	address url.URL
	name    string    // of this binary
	present *pgx.Conn // while it is there, so is this binary
}

func useServer(ctx context.Context, address, name string) (*namedServer, error) {
	parsed, err := url.Parse(address)
	if err != nil || parsed.Scheme != "postgres" && parsed.Scheme != "postgresql" {
		return nil, errors.New(serverEnv + " is not a URL such as postgres://USER:PASSWORD@HOST/DATABASE") // without the password in it
	}
	config, err := pgx.ParseConfig(address)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", serverEnv, err)
	}
	// Any database's sessions can see it there, and it goes however the binary ends.
	config.RuntimeParams["application_name"] = name
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", serverEnv, err)
	}
	s := &namedServer{address: *parsed, name: name, present: conn}
	// A binary that was killed could not drop its databases.
	if err := s.drop(ctx, `NOT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = left(d.datname, length($1)))`); err != nil {
		return nil, errors.Join(err, conn.Close(ctx))
	}
	return s, nil
}

func (s *namedServer) URL() string { return s.address.String() }

func (s *namedServer) Database(name string) string {
	address := s.address
	address.Path = "/" + name
	return address.String()
}

// Stop drops the template, and whatever a test could not.
func (s *namedServer) Stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return errors.Join(s.drop(ctx, `d.datname LIKE $1 || '%'`), s.present.Close(ctx))
}

// drop drops those databases d of test binaries for which a condition holds; in it, $1 is this binary's name.
func (s *namedServer) drop(ctx context.Context, condition string) error {
	rows, err := s.present.Query(ctx, `SELECT d.datname FROM pg_database AS d WHERE d.datname ~ '^flightbill_test_[0-9a-f]{16}_' AND `+condition, s.name)
	if err != nil {
		return err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	for _, name := range names {
		// Another binary may be doing the same.
		err = errors.Join(err, admin(s, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)"))
	}
	return err
}

// admin runs a statement on the server, outside of the tests' databases.
func admin(s server, sql string) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.URL())
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, sql); err != nil {
		return fmt.Errorf("%s: %w", sql, err)
	}
	return nil
}
