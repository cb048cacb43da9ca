// SPDX-License-Identifier: GPL-3.0-or-later

// Serves VMware's vCenter simulator on loopback, without TLS, until its input ends. Prints its port.
package main

import (
	"fmt"
	"io"
	"log"
	"net/url"
	"os"

	"github.com/vmware/govmomi/simulator"
)

func main() {
	model := simulator.VPX()
	model.Machine = 3
	defer model.Remove()
	if err := model.Create(); err != nil {
		log.Fatal(err)
	}
	simulator.AddGuests()
	model.Service.Listen = &url.URL{
		Host: "127.0.0.1:0",
		User: url.UserPassword(os.Getenv("SIMULATOR_USER"), os.Getenv("SIMULATOR_PASSWORD")),
	}
	server := model.Service.NewServer()
	fmt.Println(server.URL.Port())
	_, _ = io.Copy(io.Discard, os.Stdin)
	server.Close()
}
