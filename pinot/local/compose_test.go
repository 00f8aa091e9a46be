package local_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/flightbill/flightbill/pinot/local"
)

// Docker is not to be had everywhere. What the compose file has in common with the
// clusters of the tests is held equal, so that those tests speak for it too.
func TestComposeFileMakesTheSameTable(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docker-compose.yml")
	require.NoError(t, err)
	var file struct {
		Services map[string]struct {
			Image      string
			Command    any
			Entrypoint []string
			DependsOn  map[string]struct{ Condition string } `yaml:"depends_on"`
			Configs    []struct{ Source, Target string }
			Ports      []string
			CapDrop    []string `yaml:"cap_drop"`
			Security   []string `yaml:"security_opt"`
			Memory     string   `yaml:"mem_limit"`
			Processes  int      `yaml:"pids_limit"`
		}
		Configs map[string]struct{ Content string }
		Volumes map[string]any
	}
	require.NoError(t, yaml.Unmarshal(text, &file))

	schema, config := local.FlightsTable("flights")
	require.JSONEq(t, string(schema), file.Configs["flights-schema"].Content)
	require.JSONEq(t, string(config), file.Configs["flights-table"].Content)

	for name, service := range file.Services {
		for other := range service.DependsOn {
			require.Contains(t, file.Services, other, "%s depends on it", name)
		}
		for _, c := range service.Configs {
			require.Contains(t, file.Configs, c.Source, "%s uses it", name)
		}
		require.Equal(t, []string{"ALL"}, service.CapDrop, name)
		require.Equal(t, []string{"no-new-privileges:true"}, service.Security, name)
		require.NotEmpty(t, service.Memory, name)
		require.Positive(t, service.Processes, name)
		for _, port := range service.Ports {
			require.True(t, strings.HasPrefix(port, "127.0.0.1:"), "%s: other machines reach %s", name, port)
		}
		if strings.HasPrefix(name, "pinot-") {
			require.Equal(t, file.Services["pinot-controller"].Image, service.Image, name)
		}
	}
}
