"""The technologies behind the domain's ports, each named `<Technology><Port>`."""
