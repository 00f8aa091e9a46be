package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbtest"
)

// debianPostgres is where Debian's package has all programs; the embedded Postgres lacks
// those for replicas and dumps.
const debianPostgres = "/usr/lib/postgresql/15/bin"

// cluster is a Postgres server that can be killed and become another's standby.
type cluster struct {
	dir, port string
	server    *exec.Cmd
}

// postgresCommand runs as somebody else where this is root, as whom Postgres does not.
func postgresCommand(t *testing.T, program string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(filepath.Join(debianPostgres, program), args...)
	cmd.Dir = "/"
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: nobody(t)}
	}
	return cmd
}

func nobody(t *testing.T) *syscall.Credential {
	t.Helper()
	u, err := user.Lookup("nobody")
	require.NoError(t, err)
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	require.NoError(t, err)
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	require.NoError(t, err)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

func runPostgres(t *testing.T, program string, args ...string) {
	t.Helper()
	out, err := postgresCommand(t, program, args...).CombinedOutput()
	require.NoError(t, err, "%s %s: %s", program, args, out)
}

// newCluster returns one without data. Where Debian's Postgres is not installed the test is skipped.
func newCluster(t *testing.T) *cluster {
	t.Helper()
	if _, err := os.Stat(filepath.Join(debianPostgres, "pg_basebackup")); err != nil {
		t.Skip("needs Debian's Postgres 15, for replicas and dumps: apt-get install postgresql-15")
	}
	dir, err := os.MkdirTemp("/tmp", "flightbill-cluster-")
	require.NoError(t, err)
	if os.Geteuid() == 0 {
		n := nobody(t)
		require.NoError(t, os.Chown(dir, int(n.Uid), int(n.Gid)))
	}
	_, port, err := net.SplitHostPort(freeAddress(t))
	require.NoError(t, err)
	c := &cluster{dir: filepath.Join(dir, "data"), port: port}
	t.Cleanup(func() {
		c.kill()
		require.NoError(t, os.RemoveAll(dir))
	})
	return c
}

// create makes a server with an empty database.
func (c *cluster) create(t *testing.T) {
	t.Helper()
	runPostgres(t, "initdb", "-D", c.dir, "-U", "flightbill", "-A", "trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync")
	c.start(t)
	c.exec(t, `CREATE DATABASE fees`)
}

// start starts the server and waits until it answers.
func (c *cluster) start(t *testing.T) {
	t.Helper()
	c.server = postgresCommand(t, "postgres", "-D", c.dir, "-p", c.port, "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
		"-c", "shared_buffers=16MB", "-c", "fsync=off")
	require.NoError(t, c.server.Start())
	eventually(t, "the server answers", func() bool {
		conn, err := pgx.Connect(t.Context(), c.url("postgres"))
		if err == nil {
			_ = conn.Close(t.Context())
		}
		return err == nil
	})
}

// kill has the server end without a word to its clients or its standby.
func (c *cluster) kill() {
	if c.server != nil {
		_ = c.server.Process.Signal(syscall.SIGQUIT)
		_ = c.server.Wait()
		c.server = nil
	}
}

func (c *cluster) address() string { return "127.0.0.1:" + c.port }

func (c *cluster) url(database string) string {
	return "postgres://flightbill@" + c.address() + "/" + database + "?sslmode=disable"
}

// replicated starts a primary with flights in a database, whose commits wait for its standby.
func replicated(t *testing.T, flights int) (primary, standby *cluster) {
	t.Helper()
	primary, standby = newCluster(t), newCluster(t)
	primary.create(t)
	require.NoError(t, dbtest.Migrate(t.Context(), primary.url("fees")))
	fillQueueDatabase(t, primary.pool(t), flights)
	standby.follow(t, primary)
	return primary, standby
}

// follow makes it the other's standby, which that one's commits wait for.
func (c *cluster) follow(t *testing.T, primary *cluster) {
	t.Helper()
	runPostgres(t, "pg_basebackup", "-d", primary.url("postgres"), "-D", c.dir, "-R", "--checkpoint=fast", "--no-sync")
	c.start(t)
	primary.exec(t, `ALTER SYSTEM SET synchronous_standby_names = '*'`)
	primary.exec(t, `SELECT pg_reload_conf()`)
}

func (c *cluster) exec(t *testing.T, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), c.url("postgres"))
	require.NoError(t, err)
	defer conn.Close(t.Context())
	_, err = conn.Exec(t.Context(), sql)
	require.NoError(t, err)
}

func (c *cluster) pool(t *testing.T) *pgxpool.Pool {
	t.Helper()
	return c.poolOf(t, "fees")
}

func (c *cluster) poolOf(t *testing.T, database string) *pgxpool.Pool {
	t.Helper()
	pool, err := db.Open(t.Context(), c.url(database), db.Options{SearchPath: db.Schema})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

// The primary is killed while flights flow, and its standby takes its place: serve goes
// on there by itself. Then they change places again, in order.
func TestServeFailsOver(t *testing.T) {
	t.Parallel()
	first, second := replicated(t, 2000)
	url := fmt.Sprintf("postgres://flightbill@%s,%s/fees?sslmode=disable&target_session_attrs=read-write", first.address(), second.address())
	pool := first.pool(t)
	exec := func(sql string) {
		t.Helper()
		_, err := pool.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	// Saves for drafts do not wait for the disk, nor for a standby: some are done anew.
	exec(`WITH c AS (INSERT INTO customers (code, name, billing_frequency, week_ends_on) VALUES ('WEEK', 'Weekly Air', 'weekly', 7) RETURNING id)
		INSERT INTO customer_operators SELECT 'WEEK', id FROM c`)
	exec(`UPDATE flights SET operator = 'WEEK' WHERE right(flight_id, 1) IN ('1', '2', '3', '4', '5')`)
	startServe(t, "DATABASE_URL="+url)
	for i, half := range []string{`0`, `1`} {
		exec(`INSERT INTO flight_processing_queue (flight_id) SELECT flight_id FROM flights WHERE substr(flight_id, 2)::int / 1001 = ` + half)
		eventually(t, "flights are billed", func() bool { return number(t, pool, `SELECT count(*) FROM billed_flights`) > 100+1000*i })
		invoiced := number(t, pool, `SELECT count(*) FROM invoices WHERE status = 'PENDING'`)
		if i == 0 {
			first.kill()
		} else {
			runPostgres(t, "pg_ctl", "stop", "-D", first.dir, "-m", "fast")
			first.kill()
		}
		began := time.Now()
		runPostgres(t, "pg_ctl", "promote", "-D", second.dir)
		first, second = second, first
		pool = first.pool(t)
		exec(`ALTER SYSTEM RESET synchronous_standby_names`)
		exec(`SELECT pg_reload_conf()`)
		require.GreaterOrEqual(t, number(t, pool, `SELECT count(*) FROM invoices WHERE status = 'PENDING'`), invoiced, "what was seen is still there")
		before := number(t, pool, `SELECT count(*) FROM billed_flights`)
		eventually(t, "serve goes on", func() bool { return number(t, pool, `SELECT count(*) FROM billed_flights`) > before })
		require.Less(t, time.Since(began), 30*time.Second)
		eventually(t, "all flights are billed", func() bool { return number(t, pool, `SELECT count(*) FROM flight_processing_queue`) == 0 })
		if i == 0 {
			require.NoError(t, os.RemoveAll(second.dir))
			second.follow(t, first)
		}
	}
	require.Equal(t, 2000, number(t, pool, `SELECT count(*) FROM charges`))
	require.Equal(t, 1000, number(t, pool, `SELECT max(right(number, 6)::int) FROM invoices WHERE number LIKE 'EACH-%'`))
	require.Zero(t, number(t, pool, `SELECT count(*) FROM river_job WHERE kind = 'ingest_flight' AND attempt > 1`), "no attempt was spent")
}
