//go:build unix

package local

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/flightbill/flightbill/internal/javajars"
	"github.com/flightbill/flightbill/internal/ownfolder"
)

// Options of a cluster; the zero value is a good one.
type Options struct {
	Brokers        int           // default 1
	Servers        int           // default 1
	SessionTimeout time.Duration // after which ZooKeeper takes a silent process for dead; default 6 s
	QueryTimeout   time.Duration // a broker's; default 10 s
	TimeZone       string        // of the Java processes; default UTC
	Logger         *slog.Logger  // default: none
}

func (o Options) withDefaults() Options {
	o.Brokers = max(o.Brokers, 1)
	o.Servers = max(o.Servers, 1)
	if o.SessionTimeout <= 0 {
		o.SessionTimeout = 6 * time.Second
	}
	if o.QueryTimeout <= 0 {
		o.QueryTimeout = 10 * time.Second
	}
	if o.TimeZone == "" {
		o.TimeZone = "UTC"
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Cluster is a running Pinot.
type Cluster struct {
	options   Options
	java, lib string
	dir       string
	reaper    *reaper
	client    *http.Client

	zookeeper, controller *Process
	brokers, servers      []*Process

	close func() error
}

// Start starts a cluster and waits until all of it is healthy. The error is ErrNoJava where this machine cannot run one.
func Start(ctx context.Context, options Options) (*Cluster, error) {
	c := &Cluster{
		options: options.withDefaults(),
		client:  &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
	}
	err := c.start(ctx)
	if err != nil {
		if c.close != nil {
			err = errors.Join(err, c.close())
		}
		return nil, fmt.Errorf("start Pinot: %w", err)
	}
	return c, nil
}

func (c *Cluster) start(ctx context.Context) (err error) {
	if c.java, err = javajars.Java(ctx, oldestJava); err != nil {
		return noJava(err)
	}
	if c.lib, err = jars.Fetch(ctx, ownfolder.Cache(), c.options.Logger); err != nil {
		return noJava(err)
	}
	if c.dir, err = os.MkdirTemp("", "flightbill-pinot-"); err != nil {
		return err
	}
	if c.dir, err = filepath.EvalSymlinks(c.dir); err != nil {
		return err
	}
	if c.reaper, err = startReaper(c.dir); err != nil {
		return errors.Join(err, os.RemoveAll(c.dir))
	}
	c.close = sync.OnceValue(c.end)
	if err := os.Mkdir(c.path("tmp"), 0o700); err != nil {
		return err
	}
	if c.zookeeper, err = c.begin(ctx, c.zookeeperProcess); err != nil {
		return err
	}
	if c.controller, err = c.begin(ctx, c.controllerProcess); err != nil {
		return err
	}
	var group errgroup.Group
	c.brokers, c.servers = make([]*Process, c.options.Brokers), make([]*Process, c.options.Servers)
	for i := range c.brokers {
		group.Go(func() (err error) {
			c.brokers[i], err = c.begin(ctx, func() (*Process, error) { return c.brokerProcess(i + 1) })
			return err
		})
	}
	for i := range c.servers {
		group.Go(func() (err error) {
			c.servers[i], err = c.begin(ctx, func() (*Process, error) { return c.serverProcess(i + 1) })
			return err
		})
	}
	return group.Wait()
}

// begin starts a process, on other ports where it found one taken.
func (c *Cluster) begin(ctx context.Context, plan func() (*Process, error)) (p *Process, err error) {
	for range 3 {
		if p, err = plan(); err != nil {
			return nil, err
		}
		if err = p.launch(); err != nil {
			return p, err
		}
		if err = p.wait(ctx); err == nil || p.running() || !p.portTaken() {
			return p, err
		}
	}
	return p, err
}

// Close ends all processes at once and removes what they wrote.
func (c *Cluster) Close() error { return c.close() }

func (c *Cluster) end() error {
	var err error
	for _, p := range c.processes() {
		err = errors.Join(err, p.kill())
	}
	c.reaper.end()
	return errors.Join(err, os.RemoveAll(c.dir))
}

func (c *Cluster) processes() []*Process {
	var all []*Process
	for _, p := range append(append([]*Process{c.zookeeper, c.controller}, c.brokers...), c.servers...) {
		if p != nil {
			all = append(all, p)
		}
	}
	return all
}

// ZooKeeper returns the process that the others meet through.
func (c *Cluster) ZooKeeper() *Process { return c.zookeeper }

// Controller returns the process that knows tables, brokers and servers.
func (c *Cluster) Controller() *Process { return c.controller }

// Broker returns a process that answers queries, counted from 0.
func (c *Cluster) Broker(i int) *Process { return c.brokers[i] }

// Server returns a process that holds rows, counted from 0.
func (c *Cluster) Server(i int) *Process { return c.servers[i] }

// ControllerAddress returns what PINOT_CONTROLLER is to be.
func (c *Cluster) ControllerAddress() string { return c.controller.address }

// BrokerAddresses returns what PINOT_BROKERS is to be, one by one.
func (c *Cluster) BrokerAddresses() []string {
	addresses := make([]string, len(c.brokers))
	for i, b := range c.brokers {
		addresses[i] = b.address
	}
	return addresses
}

func (c *Cluster) path(elem string) string { return filepath.Join(c.dir, elem) }
