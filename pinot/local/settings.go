//go:build unix

package local

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Settings of each kind of process. Listeners are named by protocol: the plain settings of ports listen everywhere.

const (
	host        = "127.0.0.1"
	clusterName = "PinotCluster"
)

func (c *Cluster) zookeeperProcess() (*Process, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	// Pinot's own command for this listens everywhere, and allows no session shorter than 6 s.
	tick := max(c.options.SessionTimeout.Milliseconds()/4, 100)
	args, err := c.configure("zookeeper", map[string]string{
		"dataDir":            c.path("zookeeper"),
		"clientPort":         strconv.Itoa(port),
		"clientPortAddress":  host,
		"tickTime":           strconv.FormatInt(tick, 10),
		"admin.enableServer": "false",
	})
	if err != nil {
		return nil, err
	}
	return &Process{
		cluster: c, name: "zookeeper", address: address(port),
		args: append(c.jvm("256m"), "org.apache.zookeeper.server.ZooKeeperServerMain", args),
	}, nil
}

func (c *Cluster) controllerProcess() (*Process, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	return c.pinot("controller", "StartController", "512m", port, map[string]string{
		"controller.helix.cluster.name":         clusterName,
		"controller.zk.str":                     c.zookeeper.address,
		"controller.host":                       host,
		"controller.access.protocols":           "http",
		"controller.access.protocols.http.host": host,
		"controller.access.protocols.http.port": strconv.Itoa(port),
		"controller.vip.host":                   host,
		"controller.vip.port":                   strconv.Itoa(port),
		"controller.data.dir":                   c.path("controller"),
		"controller.local.temp.dir":             c.path("controller-tmp"),
		"pinot.set.instance.id.to.hostname":     "false",
	})
}

func (c *Cluster) brokerProcess(i int) (*Process, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	return c.pinot("broker-"+strconv.Itoa(i), "StartBroker", "512m", port, map[string]string{
		"pinot.cluster.name":                             clusterName,
		"pinot.zk.server":                                c.zookeeper.address,
		"pinot.broker.hostname":                          host,
		"pinot.broker.client.access.protocols":           "http",
		"pinot.broker.client.access.protocols.http.host": host,
		"pinot.broker.client.access.protocols.http.port": strconv.Itoa(port),
		"pinot.broker.timeoutMs":                         strconv.FormatInt(c.options.QueryTimeout.Milliseconds(), 10),
		"pinot.broker.delayShutdownTimeMs":               "0",
	}, "-clusterName", clusterName, "-zkAddress", c.zookeeper.address)
}

func (c *Cluster) serverProcess(i int) (*Process, error) {
	name := "server-" + strconv.Itoa(i)
	netty, err := freePort()
	if err != nil {
		return nil, err
	}
	admin, err := freePort()
	if err != nil {
		return nil, err
	}
	p, err := c.pinot(name, "StartServer", "1g", admin, map[string]string{
		"pinot.cluster.name":                               clusterName,
		"pinot.zk.server":                                  c.zookeeper.address,
		"pinot.server.netty.host":                          host,
		"pinot.server.netty.port":                          strconv.Itoa(netty),
		"pinot.server.adminapi.access.protocols":           "http",
		"pinot.server.adminapi.access.protocols.http.host": host,
		"pinot.server.adminapi.access.protocols.http.port": strconv.Itoa(admin),
		"pinot.server.grpc.enable":                         "false",
		"pinot.server.instance.dataDir":                    c.path(name),
		"pinot.server.instance.segmentTarDir":              c.path(name + "-segments"),
		"pinot.server.shutdown.enableQueryCheck":           "false",
	}, "-clusterName", clusterName, "-zkAddress", c.zookeeper.address)
	if err == nil {
		p.instance = fmt.Sprintf("Server_%s_%d", host, netty)
	}
	return p, err
}

// pinot is a process of Pinot's own.
func (c *Cluster) pinot(name, command, memory string, port int, settings map[string]string, args ...string) (*Process, error) {
	file, err := c.configure(name, settings)
	if err != nil {
		return nil, err
	}
	java := append(c.jvm(memory), "org.apache.pinot.tools.admin.PinotAdministrator", command, "-configFileName", file)
	return &Process{cluster: c, name: name, address: address(port), health: true, args: append(java, args...)}, nil
}

// jvm returns the arguments of java that come before the program.
func (c *Cluster) jvm(memory string) []string {
	return []string{
		"-Xms64m", "-Xmx" + memory, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData",
		"-Duser.timezone=" + c.options.TimeZone,
		"-Djava.io.tmpdir=" + c.path("tmp"),
		"-Dzk.session.timeout=" + strconv.FormatInt(c.options.SessionTimeout.Milliseconds(), 10),
		"-cp", filepath.Join(c.lib, "*"),
	}
}

// configure writes a process's settings and returns the file.
func (c *Cluster) configure(name string, settings map[string]string) (string, error) {
	var text strings.Builder
	for key, value := range settings {
		fmt.Fprintf(&text, "%s=%s\n", key, value)
	}
	path := c.path(name + ".properties")
	return path, os.WriteFile(path, []byte(text.String()), 0o600)
}

func address(port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }

func freePort() (int, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return 0, err
	}
	return listener.Addr().(*net.TCPAddr).Port, listener.Close() //nolint:forcetypeassert // of a TCP listener
}
