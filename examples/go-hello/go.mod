module go-hello

go 1.24

require hourglass v0.0.0

replace hourglass => ../../guest-sdk/bindings/go/hourglass
