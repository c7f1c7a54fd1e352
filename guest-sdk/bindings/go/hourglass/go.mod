module hourglass

go 1.24
