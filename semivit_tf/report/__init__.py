"""What do people look at? Plots of results, as files that open everywhere."""
