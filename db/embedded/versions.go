package embedded

import (
	"fmt"
	"os"
	"runtime"
	"strings"
)

// Version is a release of Postgres, as the packages of binaries number it: they add a third part.
type Version string

const (
	V18 = Version("18.3.0")
	V17 = Version("17.5.0")
	V16 = Version("16.9.0")
	V15 = Version("15.13.0")

	defaultVersion = V18
)

// sums are the SHA-256 of the packages, which Zonky builds and Maven Central keeps. What a package answers for is only what
// stands here: its host cannot change it later.
var sums = map[Version]map[string]string{
	V18: {
		"linux-amd64":        "1974c3a59c3ae010e9818e81637e425aad94eaac26e4ef533b42e081fe7ca345",
		"linux-amd64-alpine": "510fd314da39f1eeccef774a92428474168fedf55403342548e2adeaed66b483",
		"linux-arm64v8":      "1fb555a6602c13a113ab1f0cc9224d599948e85e51ac5f001393605505eaf78e",
		"darwin-arm64v8":     "a18ec9ec6a905e04f5a08a8f7870bddadd635feb54dee332a3daf80fada3cb1a",
	},
	V17: {
		"linux-amd64":        "646f3269075d1a23904127374e3cdbcef96beb32979fedee25d835877400fcbe",
		"linux-amd64-alpine": "7122386c7f7a089568f05720ada63448093d4065abbc0a89e6dc660851a53e3c",
		"linux-arm64v8":      "e02f27ff50ff2d90b6541d54f3f108505aacd84ea53c2890e976a684bfea2752",
		"darwin-arm64v8":     "e9d3398e10c2ec926395498b03e75ad1a24eeaed82895e756a7e173b202cf6de",
	},
	V16: {
		"linux-amd64":        "d983cee24678490199e1684d6a93f49f84673696cb6f0db64e880a4cf233017b",
		"linux-amd64-alpine": "2a82d0d9266d46976be463ecf76b89f72e614d867e26b7fe8cf038fe7e05f075",
		"linux-arm64v8":      "9d113402f70f4d134250916319ad83e87cba3796bd73a606c28dbabd326b4fa3",
		"darwin-arm64v8":     "53b2672c602e16e4c94fb56b9aa68cc26a0bbb0df851f256f41a2cdbeccc9cb6",
	},
	V15: { // not packaged for arm64
		"linux-amd64":        "cc0177d8a22b85ed266f6204c0642fd5c24ab583d1ef221d4b60bce29d4fa4ef",
		"linux-amd64-alpine": "73c825eba923c8faa8059a5f9af7d20c9800b7feba901110fdc3487400905a80",
	},
}

// sum returns the SHA-256 of a version's package for a platform.
func (v Version) sum(platform string) (string, error) {
	if sum, ok := sums[v][platform]; ok {
		return sum, nil
	}
	return "", fmt.Errorf("there is no embedded Postgres %s for %s: set DATABASE_URL to a Postgres of your own", v.display(), platform)
}

// platform returns the packages' name of this machine's.
func platform() string {
	name := runtime.GOOS + "-" + runtime.GOARCH
	if runtime.GOARCH == "arm64" {
		name += "v8"
	}
	if _, err := os.Stat("/etc/alpine-release"); err == nil {
		name += "-alpine" // with musl
	}
	return name
}

// major returns "18" of "18.3.0".
func (v Version) major() string {
	m, _, _ := strings.Cut(string(v), ".")
	return m
}

// display returns "18.3" of "18.3.0".
func (v Version) display() string { return strings.TrimSuffix(string(v), ".0") }
