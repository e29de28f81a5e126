"""`make bench`: what ocrmux costs, side by side with what it is measured against, in one run."""
