from training.export import main

main()
