// Serve a folder as an object store: versitygw with the storage backend that the tests need alone.
//
// Its own program has four more backends, whose libraries are a third of its build.
//
//	store HOST:PORT FOLDER
//
// The keys are read from ROOT_ACCESS_KEY_ID and ROOT_SECRET_ACCESS_KEY.
package main

import (
	"context"
	"log"
	"os"

	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/embedgw"
)

func main() {
	address, folder := os.Args[1], os.Args[2]
	if err := (meta.XattrMeta{}).Test(folder); err != nil {
		log.Fatalf("%s keeps no extended attributes: %v", folder, err)
	}
	backend, err := posix.New(folder, meta.XattrMeta{}, posix.PosixOpts{
		Concurrency:         5000,
		CopyObjectThreshold: 5 << 30,
	})
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(embedgw.RunVersityGW(context.Background(), backend, &embedgw.Config{
		RootUserAccess:    os.Getenv("ROOT_ACCESS_KEY_ID"),
		RootUserSecret:    os.Getenv("ROOT_SECRET_ACCESS_KEY"),
		Ports:             []string{address},
		MaxConnections:    250000,
		MaxRequests:       100000,
		MultipartMaxParts: 10000,
		Quiet:             true,
	}))
}
