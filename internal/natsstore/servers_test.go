package natsstore

import (
	"encoding/json"
	"fmt"
	"testing"
)

// TestServersThatAreDown: the leader of the servers tells which are, those among them
// that it has never heard of, because they led before it.
func TestServersThatAreDown(t *testing.T) {
	const follower = `"n3": {"data": {"meta_cluster": {"leader": "n1"}}}`
	for name, tc := range map[string]struct{ states, want string }{
		"all answer":           {`"n1": {"data": {"meta_cluster": {"leader": "n1", "replicas": [{"name": "n3", "active": 1000}]}}}, ` + follower, "[n1 n3] [] true"},
		"silent, and heard of": {`"n1": {"data": {"meta_cluster": {"leader": "n1", "replicas": [{"name": "n2", "active": 1000}, {"name": "n3", "active": 1000}]}}}, ` + follower, "[n1 n2 n3] [] true"},
		"offline":              {`"n1": {"data": {"meta_cluster": {"leader": "n1", "replicas": [{"name": "n2", "active": 1000, "offline": true}, {"name": "n3", "active": 1000}]}}}, ` + follower, "[n1 n3] [n2] true"},
		"not heard of lately":  {`"n1": {"data": {"meta_cluster": {"leader": "n1", "replicas": [{"name": "n2", "active": 5000000000}, {"name": "n3", "active": 1000}]}}}, ` + follower, "[n1 n3] [n2] true"},
		"never heard of":       {`"n1": {"data": {"meta_cluster": {"leader": "n1", "replicas": [{"name": "n2", "active": 0}, {"name": "n3", "active": 0}]}}}, ` + follower, "[n1 n3] [n2] true"},
		"no leader answers":    {follower, "[n1 n3] [] false"},
		"no leader is known":   {`"n3": {}`, "[n3] [] false"},
	} {
		t.Run(name, func(t *testing.T) {
			var states map[string]serverState
			if err := json.Unmarshal([]byte("{"+tc.states+"}"), &states); err != nil {
				t.Fatal(err)
			}
			up, down, whole := servers(states)
			if got := fmt.Sprint(up, down, whole); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}
